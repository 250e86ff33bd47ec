"""A campaign: one pool, what of it is labelled and how, who labels, and the file in which all of that is kept.

It lies in ``POOL/labels/NAME/campaign.sqlite``. How it labels is settled when it is begun and is the same ever after:
two ways would be two labels.
"""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow as pa

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.grading.pool import own_source
from prm_eval.labelling.page.events import FILE, Store, now
from prm_eval.labelling.page.known import Known
from prm_eval.pools.format import CANDIDATES
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, Problem, Rating
from prm_eval.stepsets.label_file import DESCRIPTION, FOLDER, LabelFile
from prm_eval.stepsets.step_set import StepSet, is_step_set
from prm_eval.store.jsonl import Row, read_jsonl
from prm_eval.store.tables import iter_table_rows
from prm_eval.texts.steps import SPLITTERS, split_steps

Kind = Literal["main", "screening", "quality_control"]
Role = Literal["labeller", "adjudicator"]
LONGEST_NAME = 100
IDS = pa.schema([CANDIDATES.field("problem_id"), CANDIDATES.field("candidate_id")])


@dataclass(frozen=True)
class Rules:
    """How a campaign labels.

    Attributes:
        splitter: How candidates are cut into steps.
        all_steps: Whether the steps after the first wrong one are labelled too.
        show_answer: Whether labellers see the gold answer and the candidate's grade.
        qc_rate: The share of what a labeller sees that has a known label.
        second_opinion: The share of candidates that two people label.
        seed: Of all that is drawn.
    """

    splitter: str
    all_steps: bool = False
    show_answer: bool = False
    qc_rate: float = 0.1
    second_opinion: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Item:
    """Something to label.

    Attributes:
        item: Its number in the campaign.
        kind: A candidate of the pool ("main"), or one whose label is known.
        problem_id: Its problem.
        candidate_id: The candidate.
        statement: The problem's statement.
        steps: The steps.
        known: The known first wrong step and ratings; None for "main".
        problem: Its problem in the pool; None for a known one.
        candidate: The candidate in the pool; None for a known one.
    """

    item: int
    kind: Kind
    problem_id: str
    candidate_id: str
    statement: str
    steps: tuple[str, ...]
    known: tuple[int, tuple[Rating | None, ...] | None] | None = None
    problem: Problem | None = None
    candidate: Candidate | None = None


@dataclass(frozen=True)
class Person:
    """Whose link it is, and what it is for."""

    who: str
    role: Role


class Campaign:
    """An open campaign.

    Args:
        folder: ``POOL/labels/NAME``.

    Raises:
        DataError: There is none, or it is of another pool.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / FILE)
        try:
            self.pool = Pool(folder.resolve().parent.parent)
            wanted = self.store.get("pool_hash") or ""
            if self.pool.info.content_hash != wanted:
                found = f"the pool {self.pool.info.short_hash}"
                raise DataError(self.pool.path, None, found, f"{wanted[:12]}, which {folder / FILE} labels")
        except BaseException:
            self.store.close()
            raise
        self.rules = Rules(**json.loads(self.store.get("rules") or "{}"))
        self.id = self.store.get("id") or ""

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.folder.resolve().name

    # -- people

    def invite(self, who: str, role: Role) -> str:
        """Make a secret link's token for somebody; links that were given before stay good.

        Raises:
            PrmEvalError: The name is empty, too long, or of somebody in another role.
        """
        if not who.strip() or len(who) > LONGEST_NAME:
            raise PrmEvalError(f"a name of {len(who)} characters; expected 1 to {LONGEST_NAME}")
        other = self.people().get(who, role)
        if other != role:
            raise PrmEvalError(f"{who!r} is {other} here; whoever decides conflicts needs a name of their own for it")
        token = secrets.token_urlsafe(32)
        self.store.run(
            "INSERT INTO people (token_hash, who, role, made) VALUES (?, ?, ?, ?)", hash_of(token), who, role, now()
        )
        return token

    def revoke(self, who: str) -> int:
        """Take all links of somebody back; what they marked stays. Return how many there were."""
        return self.store.run("UPDATE people SET revoked = ? WHERE who = ? AND revoked IS NULL", now(), who)

    def person(self, token: str) -> Person | None:
        """Return whose link a token is of; None where it is of none."""
        query = "SELECT who, role FROM people WHERE token_hash = ? AND revoked IS NULL"
        rows = self.store.rows(query, hash_of(token))
        return Person(*rows[0]) if rows else None

    def people(self) -> dict[str, Role]:
        """Return everybody who ever had a link, with the role, in order of appearance."""
        return dict(self.store.rows("SELECT who, role FROM people ORDER BY number"))

    # -- items

    def queue(self) -> list[tuple[int, int]]:
        """Return the candidates to label as (item, how many people label it), in order."""
        return [(item, n) for item, n in self.store.rows("SELECT item, opinions FROM queue ORDER BY place")]

    def keys(self) -> dict[int, tuple[str, str]]:
        """Return the problem id and the candidate id of every candidate that was ever queued, by item."""
        query = "SELECT item, problem_id, candidate_id FROM items WHERE kind = 'main'"
        return {item: (problem, candidate) for item, problem, candidate in self.store.rows(query)}

    def items_of(self, kind: Kind) -> list[int]:
        """Return the items of a kind, in order."""
        return [item for (item,) in self.store.rows("SELECT item FROM items WHERE kind = ? ORDER BY item", kind)]

    def kinds(self, items: Sequence[int]) -> dict[int, Kind]:
        """Return the kind of each of some items."""
        wanted = set(items)
        known: dict[int, Kind] = dict(self.store.rows("SELECT item, kind FROM items WHERE kind <> 'main'"))
        return {item: known.get(item, "main") for item in wanted}

    def item(self, number: int) -> Item:
        """Return an item with its texts.

        Raises:
            PrmEvalError: There is none.
        """
        query = "SELECT kind, problem_id, candidate_id, place, statement, steps, known FROM items WHERE item = ?"
        rows = self.store.rows(query, number)
        if not rows:
            raise PrmEvalError(f"no item {number} in {self.folder}")
        kind, problem_id, candidate_id, place, statement, steps, known = rows[0]
        if kind != "main":
            first, ratings = json.loads(known)
            label = (first, None if ratings is None else tuple(ratings))
            return Item(number, kind, problem_id, candidate_id, statement, tuple(json.loads(steps)), label)
        (candidate,) = self.pool.candidates(place, 1)
        if (candidate.problem_id, candidate.candidate_id) != (problem_id, candidate_id):
            found = f"candidate {candidate.candidate_id} of {candidate.problem_id!r}"
            raise DataError(self.pool.candidates_path, place + 1, found, f"{candidate_id} of {problem_id!r}")
        problem = self.pool.problems[problem_id]
        cut = split_steps(candidate.text, self.rules.splitter, candidate.steps)
        return Item(
            number, kind, problem_id, candidate_id, problem.statement, cut, problem=problem, candidate=candidate
        )

    def place_of(self, item: int) -> int:
        """Return the place of a candidate in the pool."""
        return int(self.store.rows("SELECT place FROM items WHERE item = ?", item)[0][0])

    def cluster_of(self, item: Item) -> str:
        """Return the problem that an item is evidence of: solutions of one problem are not independent."""
        return self._clusters.get(item.problem_id, item.problem_id)

    @cached_property
    def _clusters(self) -> dict[str, str]:
        if not is_step_set(self.pool.path):
            return {}
        return {each.solution_id: each.problem_id for each in StepSet(self.pool.path).solutions}

    def grades(self) -> dict[tuple[str, str], tuple[str, str | None]]:
        """Return the grade and the answer of every candidate, where the pool has grades of its own."""
        source = own_source(self.pool)
        if not self.pool.grades_path(source).is_file():
            return {}
        rows = (
            (problem.problem_id, candidate, grade)
            for (problem, candidates), (_, grades) in zip(self.pool, self.pool.grades(source), strict=True)
            for candidate, grade in zip(candidates, grades, strict=True)
        )
        return {(name, candidate.candidate_id): (grade.grade, grade.answer) for name, candidate, grade in rows}

    def close(self) -> None:
        """Close the file."""
        self.store.close()


def hash_of(token: str) -> str:
    """Return what is kept of a link's token. It has 256 random bits, so that no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def campaign_folder(pool: Path, name: str) -> Path:
    """Return the folder of a pool's campaign.

    Raises:
        PrmEvalError: The name is none of a folder.
    """
    if not name or name.startswith(".") or "/" in name or len(name) > LONGEST_NAME:
        raise PrmEvalError(f"the campaign's name {name!r}; expected a plain name such as people")
    return pool / FOLDER / name


def begin(folder: Path, pool: Pool, rules: Rules) -> Campaign:
    """Begin a campaign: its file, without anything to label.

    Raises:
        PrmEvalError: An option has no meaning, or the folder is that of another source's labels.
    """
    if rules.splitter not in SPLITTERS:
        raise PrmEvalError(f"unknown splitter {rules.splitter!r}; expected one of {', '.join(SPLITTERS)}")
    for name, share in (("--qc-rate", rules.qc_rate), ("--second-opinion", rules.second_opinion)):
        if not 0 <= share <= 1 or (name == "--qc-rate" and share > 0.5):
            raise PrmEvalError(f"{name} {share}; expected a share from 0 to {'0.5' if name == '--qc-rate' else '1'}")
    pool.require_sound()
    if (folder / DESCRIPTION).is_file() and (source := LabelFile(folder).info.source) != "people":
        raise PrmEvalError(f"{folder} holds labels by {source}; two sources never share a folder: give another --name")
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"pool_hash": pool.info.content_hash, "id": secrets.token_hex(8), "made": now()}
    Store(folder / FILE, new={**settings, "rules": json.dumps(asdict(rules))}).close()
    return Campaign(folder)


# -- what is labelled


def queue_pool(campaign: Campaign, file: Path | None = None) -> int:
    """Make the candidates of the pool, or those that a file names, what is labelled, in this order.

    What was labelled before stays, and keeps the number of people who label it.

    Args:
        campaign: The campaign.
        file: JSON lines of ``{"problem_id", "candidate_id"}``; None takes all, in the pool's order.

    Returns:
        How many are to be labelled.

    Raises:
        PrmEvalError: The file names a candidate that is not in the pool, or one twice.
    """
    ids = [(row["problem_id"], row["candidate_id"]) for row in iter_table_rows(campaign.pool.candidates_path, IDS)]
    places = {pair: place for place, pair in enumerate(ids)}
    wanted = ids if file is None else list(_named(file, places))
    store = campaign.store
    with store.writing() as db:
        db.executemany(
            "INSERT OR IGNORE INTO items (kind, problem_id, candidate_id, place) VALUES ('main', ?, ?, ?)",
            ((*pair, places[pair]) for pair in wanted),
        )
        query = "SELECT problem_id, candidate_id, item FROM items WHERE kind = 'main'"
        numbers = {(problem, candidate): item for problem, candidate, item in db.execute(query)}
        before = dict(db.execute("SELECT item, opinions FROM queue").fetchall())
        found = [numbers[pair] for pair in wanted]
        fresh = [item for item in found if item not in before]
        # a sample of the exact size: a share by tossing coins would be another share
        number = round(campaign.rules.second_opinion * len(fresh))
        twice = set(random.Random(f"{campaign.rules.seed} {len(before)}").sample(fresh, number))  # noqa: S311
        db.execute("DELETE FROM queue")
        db.executemany(
            "INSERT INTO queue VALUES (?, ?, ?)",
            ((place, item, before.get(item, 2 if item in twice else 1)) for place, item in enumerate(found)),
        )
    return len(found)


def _named(file: Path, places: dict[tuple[str, str], int]) -> Iterator[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    for number, fields in read_jsonl(file):
        row = Row(file, number, fields)
        pair = (row.required_text("problem_id"), row.required_text("candidate_id"))
        if pair not in places:
            raise row.fault(f"candidate {pair[1]} of {pair[0]!r}", "a candidate of the pool")
        if pair in seen:
            raise row.fault(f"candidate {pair[1]} of {pair[0]!r} again", "each once")
        seen.add(pair)
        yield pair


def add_known(campaign: Campaign, kind: Kind, known: Sequence[Known]) -> int:
    """Add items whose label is known; return how many were not there yet."""
    rows = (
        (
            kind,
            each.solution_id,
            # another text under the id of one that is there is another item
            hash_of(json.dumps([each.statement, each.steps]))[:16],
            each.statement,
            json.dumps(each.steps),
            json.dumps([each.first_error, each.ratings]),
        )
        for each in known
    )
    with campaign.store.writing() as db:
        before = db.total_changes
        db.executemany(
            "INSERT OR IGNORE INTO items (kind, problem_id, candidate_id, statement, steps, known) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )
        return db.total_changes - before
