"""Labels by rollouts: a policy goes on from every step, and its value is the share of completions that end right.

Math-Shepherd's estimation (Wang et al. 2024, section 3.3): of K completions from the solution up to step i, r are
right; the soft value is r / K, and the hard label is wrong only if r = 0 (equation 3), or by ``hard`` if r / K is at
most a number. The last step's value is the answer's own grade, and no completion is asked for, unless the candidate was
cut off before its end. With ``stop`` a solution ends at its first step that is never right: no later one is asked
about.

Every distinct beginning of a problem is asked about once, and its result is in a journal as soon as it is there, so
that the same command goes on after a kill, or where a server died. What was refused then is asked about again. The
journal knows nothing of ``hard`` and ``stop``: the same results give labels of either kind.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError, PrmEvalError
from prm_eval.grading import Grader
from prm_eval.grading.pool import load_grader, own_grader
from prm_eval.labelling.completers import Completer, Completion, Frame, Request, Sampling
from prm_eval.labelling.prefixes import beginnings, digest, seed_of
from prm_eval.labelling.rollout_records import Counts, RolledOut, Value, label_of_shares, results_of
from prm_eval.labelling.writing import About, Key, Outcome, Said, wanted_candidates, write_labels
from prm_eval.pools.pool import Pool
from prm_eval.progress import Bars, Progress, no_bars
from prm_eval.records import Candidate, LabelKind, Problem, StepLabel
from prm_eval.rewards.files.differences import difference
from prm_eval.rewards.inputs.pieces import Refused
from prm_eval.stepsets.label_file import DESCRIPTION, ROWS, LabelFile
from prm_eval.store.journal import Journal
from prm_eval.store.writing import replacing
from prm_eval.texts.steps import split_steps

JOURNAL, RESULTS = "rollouts.partial.jsonl", "rollouts.jsonl"
ROLLING = "rolling out"
TRIED = 16
"""Beginnings after which, if no completion has an answer, something is wrong with the prompt."""


@dataclass
class _Text:
    """A different candidate of a problem, with the prompts of its beginnings."""

    problem: Problem
    prompts: list[str]
    refused: str = ""


class Rollouts:
    """A run that labels a pool by rollouts.

    Args:
        pool: The candidates, of problems with gold answers.
        folder: The folder of labels to make.
        completer: The policy.
        frame: What stands around problem and beginning.
        how: The sampling.
        wanted: The candidates to label, all by default.
        hard: Write ratings: wrong if the share is at most this. None writes shares.
        stop: Whether to stop at the first step that is never right.
        splitter: How candidates are cut; None is the pool's own way.
        grader: Who grades completions; our grader with the options of the pool's task by default.
        keep_texts: Whether the journal keeps what was written.
        results: A finished folder of labels by the same rollouts, as of another kind or queue: what was asked for it
            is not asked again.

    Raises:
        DataError: A problem has no gold answer.
        PrmEvalError: The folder holds other labels, or another process is at it.
    """

    def __init__(
        self,
        pool: Pool,
        folder: Path,
        completer: Completer,
        frame: Frame,
        how: Sampling,
        *,
        wanted: Collection[Key] | None = None,
        hard: float | None = None,
        stop: bool = False,
        splitter: str | None = None,
        grader: str | None = None,
        keep_texts: bool = False,
        results: Path | None = None,
    ) -> None:
        pool.require_gold()
        if hard is not None and not 0 <= hard < 1:
            raise PrmEvalError(f"hard = {hard}; expected a share of right completions, from 0 to below 1")
        self.pool, self.folder, self.completer, self.frame, self.how = pool, folder, completer, frame, how
        self.wanted, self.hard, self.stop, self.keep_texts, self.results = wanted, hard, stop, keep_texts, results
        self.splitter = splitter or pool.info.splitter
        self.grader: Grader = load_grader(grader or own_grader(pool))
        self.key: dict[str, Any] = json.loads(
            json.dumps(
                {
                    "pool": pool.info.content_hash,
                    "splitter": self.splitter,
                    "policy": completer.describe(),
                    "frame": frame.settings(),
                    "sampling": how.settings(),
                    "grader": self.grader.version,
                }
            )
        )
        self.values: dict[str, Value] = {}
        self._tally: Counter[str] = Counter()
        self._shown = ""

    def run(self, bars: Bars = no_bars) -> RolledOut:
        """Return the labels, after asking for all completions that are not there yet.

        Raises:
            ModelError: The policy cannot be reached, or refuses everything; what is there is kept.
            PrmEvalError: No completion has an answer, so that the prompt must be wrong.
        """
        counts = self._count()
        if (there := self._finished()) is not None:
            (self.folder / JOURNAL).unlink(missing_ok=True)
            return RolledOut(None, there, counts)
        self.folder.mkdir(parents=True, exist_ok=True)
        busy = f"another process is labelling into {self.folder}; wait for it, or give another folder"
        with Journal(self.folder / JOURNAL, {"key": self.key}, busy=busy, sync_seconds=1.0) as journal:
            self._read(journal)
            if self.results is not None:
                self._read_results(self.results, journal)
            resumed = len(self.values)
            with bars(ROLLING, counts.beginnings, "beginning") as progress:
                progress(min(resumed, counts.beginnings))
                self._ask_all(journal, progress)
            self._require_sense(1)
            self._write_results(journal)
            outcome = self._write_labels()
            # the labels are on the disk
            journal.path.unlink()
        refused = Counter(each.refused for each in self.values.values() if each.refused)
        tally = self._tally
        return RolledOut(
            outcome,
            outcome.labels,
            counts,
            len(self.values),
            resumed,
            tally["completions"],
            tally["without_answer"],
            tally["cut"],
            dict(refused),
        )

    # -- what is to be asked

    def _count(self) -> Counts:
        """Count candidates and beginnings, before anything is asked; problems are independent."""
        totals: Counter[str] = Counter()
        for texts, candidates in self._problems():
            totals["candidates"] += len(candidates)
            totals["texts"] += len(texts)
            totals["steps"] += sum(len(texts[each.text].prompts) for each in candidates)
            totals["beginnings"] += len({prompt for each in texts.values() for prompt in each.prompts})
        if not totals["candidates"]:
            raise PrmEvalError("there is no candidate to label")
        return Counts(totals["candidates"], totals["texts"], totals["steps"], totals["beginnings"])

    def _problems(self) -> Iterator[tuple[dict[str, _Text], list[Candidate]]]:
        """Yield the different texts of each problem that has candidates to label, and these."""
        problem: Problem | None = None
        held: list[Candidate] = []
        for each, candidate in wanted_candidates(self.pool, self.wanted):
            if problem is not None and each.problem_id != problem.problem_id:
                yield self._texts(problem, held), held
                held = []
            problem = each
            held.append(candidate)
        if problem is not None:
            yield self._texts(problem, held), held

    def _texts(self, problem: Problem, candidates: Sequence[Candidate]) -> dict[str, _Text]:
        # a text that ended by itself in one slot is whole, wherever else it was cut: one text has one label
        whole = {each.text for each in candidates if each.finish_reason != "length"}
        found: dict[str, _Text] = {}
        for each in candidates:
            if each.text not in found:
                found[each.text] = self._text(problem, each, each.text in whole)
        return found

    def _text(self, problem: Problem, candidate: Candidate, whole: bool) -> _Text:
        steps = split_steps(candidate.text, self.splitter, candidate.steps)
        parts = beginnings(candidate.text, steps, self.splitter)
        try:
            # the last one is the whole solution: its answer says what it is worth, unless it was cut off
            asked = parts[:-1] if whole else parts
            return _Text(problem, [self.frame.prompt(problem.statement, each) for each in asked])
        except Refused as refusal:
            return _Text(problem, [], str(refusal))

    # -- asking

    def _ask_all(self, journal: Journal, progress: Progress) -> None:
        problems = self._problems()
        while block := self._block(problems):
            while asks := self._next(block):
                for start in range(0, len(asks), self.completer.at_once):
                    self._ask(asks[start : start + self.completer.at_once], journal, progress)

    def _block(self, problems: Iterator[tuple[dict[str, _Text], list[Candidate]]]) -> list[_Text]:
        """Return the texts of so many problems that one wave of them is a full lot, or a few."""
        found: list[_Text] = []
        for texts, _ in problems:
            found += texts.values()
            if len(found) >= 2 * self.completer.at_once:
                break
        return found

    def _next(self, block: Sequence[_Text]) -> list[tuple[Problem, str]]:
        """Return the beginnings to be asked about next, each once."""
        found: dict[str, tuple[Problem, str]] = {}
        for text in block:
            for prompt in text.prompts:
                name = digest(text.problem.problem_id, prompt)
                value = self.values.get(name)
                if value is None:
                    found.setdefault(name, (text.problem, prompt))
                if self.stop and (value is None or value.share == 0):
                    break
        return list(found.values())

    def _ask(self, asks: Sequence[tuple[Problem, str]], journal: Journal, progress: Progress) -> None:
        requests = [Request(prompt, seed_of(self.how.seed, prompt)) for _, prompt in asks]
        for place, given in self.completer.complete(requests, self.how):
            record = self._record(*asks[place], given)
            journal.append([record])
            self._take(record)
            progress(len(self.values))
            if not isinstance(given, str):
                self._shown = given[0].text
        self._require_sense(TRIED)

    def _record(self, problem: Problem, prompt: str, given: list[Completion] | str) -> dict[str, Any]:
        about = {"problem_id": problem.problem_id, "prompt": digest(problem.problem_id, prompt)}
        if isinstance(given, str):
            return {**about, "refused": given[:300]}
        beginning = self._beginning(problem, prompt)
        texts = [beginning + each.text for each in given]
        rows = self.grader.grade_problem(str(problem.gold), texts, range(len(texts)))
        kept = {"texts": [each.text for each in given]} if self.keep_texts else {}
        return {
            **about,
            **kept,
            "right": [row.grade == "correct" for row in rows],
            "answers": [row.answer for row in rows],
            "cut": sum(each.cut for each in given),
        }

    def _beginning(self, problem: Problem, prompt: str) -> str:
        return prompt.removeprefix(self.frame.prompt(problem.statement, ""))

    def _take(self, record: Mapping[str, Any]) -> None:
        """Keep what a record of the journal says."""
        right = record.get("right", [])
        self.values[record["prompt"]] = Value(sum(right), len(right), record.get("refused", ""))
        answers = record.get("answers", [])
        self._tally.update(
            completions=len(right), without_answer=sum(each is None for each in answers), cut=record.get("cut", 0)
        )

    def _require_sense(self, least: int) -> None:
        """Insist, once so many beginnings were asked about, that completions come and that some have an answer.

        In the end that holds for any number: labels of nothing would be called finished.
        """
        if len(self.values) < least:
            return
        refused = [each.refused for each in self.values.values() if each.refused]
        if refused and len(refused) == len(self.values):
            raise ModelError(
                f"{self.completer.name} refused all of the first {len(refused)} beginnings, the first because: "
                f"{refused[0]}. Give a smaller --max-new-tokens or another server; the same command asks again."
            )
        tally = self._tally
        if tally["completions"] and tally["completions"] == tally["without_answer"]:
            raise PrmEvalError(
                f"none of the first {tally['completions']} completions has a final answer; expected most to have one. "
                f"One of them: {self._shown[:200]!r}. Is the prompt what the policy expects (--prompt, --chat), and "
                f"--max-new-tokens = {self.how.max_new_tokens} enough?"
            )

    # -- the journal and the labels

    def _finished(self) -> LabelFile | None:
        """Return the labels of an earlier run with the same arguments.

        Raises:
            PrmEvalError: The folder holds labels that were made otherwise.
        """
        if not (self.folder / DESCRIPTION).is_file():
            return None
        there = LabelFile(self.folder)
        differs = difference(there.info.settings, self._settings())
        if differs is not None:
            raise PrmEvalError(
                f"{self.folder} holds labels that were made otherwise: {differs}. Give another folder (-o DIR), or "
                f"remove {DESCRIPTION} and {ROWS} from this one."
            )
        return there

    def _settings(self) -> dict[str, Any]:
        wanted = None if self.wanted is None else digest(*sorted(map(" ".join, self.wanted)))
        return {"rollouts": self.key, "hard": self.hard, "stop": self.stop, "queue": wanted}

    def _read(self, journal: Journal) -> None:
        """Read what earlier runs have asked.

        Raises:
            PrmEvalError: The journal is of other arguments, and has results that are of use.
        """
        found = journal.header.get("key")
        if found != self.key:
            if any(any(answer is not None for answer in record.get("answers", [])) for _, record in journal.records()):
                differs = difference(found, self.key) if isinstance(found, dict) else None
                raise PrmEvalError(
                    f"{journal.path} is from an interrupted run with other arguments: {differs}. Finish it with those, "
                    "or remove the file to start again."
                )
            # nothing came of it: the user has corrected the command
            journal.restart({"key": self.key})
        for _, record in journal.records():
            # a server that refused may have been mended, or have more room now
            if "refused" not in record:
                self._take(record)

    def _read_results(self, folder: Path, journal: Journal) -> None:
        """Take over what was asked for other labels; the journal keeps it too."""
        for record in results_of(folder, self.key, RESULTS):
            if record["prompt"] not in self.values:
                journal.append([record])
                self._take(record)

    def _write_results(self, journal: Journal) -> None:
        """Write the journal as plain lines, which stay beside the labels: of each beginning what came of it last."""
        refused: set[str] = set()
        with replacing(self.folder / RESULTS) as stream:
            for _, record in journal.records():
                name = record["prompt"]
                if "refused" in record and (name in refused or not self.values[name].refused):
                    continue
                refused |= {name} if "refused" in record else set()
                stream.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")

    def _write_labels(self) -> Outcome:
        kind: LabelKind = "soft" if self.hard is None else "rated"
        name = f"{self.how.rollouts} rollouts of {self.completer.name}"[-300:]
        about = About("rollouts", name, kind, self.splitter, self._settings())
        return write_labels(self.pool, self.folder, about, self._said())

    def _said(self) -> Iterator[Said]:
        for texts, candidates in self._problems():
            own = self._own_values(texts, candidates)
            for each in candidates:
                text = texts[each.text]
                steps = split_steps(each.text, self.splitter, each.steps)
                if not steps:
                    yield Said(text.problem, each, None, "no step")
                elif text.refused:
                    yield Said(text.problem, each, None, f"refused: {text.refused.partition(':')[0]}")
                else:
                    yield Said(text.problem, each, self._label(text, own[each.text], len(steps)))

    def _own_values(self, texts: Mapping[str, _Text], candidates: Sequence[Candidate]) -> dict[str, bool | None]:
        """Return whether the answer of each different text is right; None where nobody can decide."""
        problem = next(iter(texts.values())).problem
        rows = self.grader.grade_problem(str(problem.gold), list(texts), range(len(texts)))
        return {
            text: None if row.grade == "undecided" else row.grade == "correct"
            for text, row in zip(texts, rows, strict=True)
        }

    def _label(self, text: _Text, right: bool | None, n: int) -> StepLabel:
        shares: list[float | None] = []
        for prompt in islice(text.prompts, n):
            value = self.values.get(digest(text.problem.problem_id, prompt))
            shares.append(None if value is None else value.share)
            if self.stop and shares[-1] == 0:
                break
        stopped = bool(self.stop and shares and shares[-1] == 0)
        if len(shares) == n - 1 and not stopped:
            shares.append(None if right is None else float(right))
        return label_of_shares(shares, n, hard=self.hard, final_correct=right)
