"""The measures behind the doubts on made-up tables: each limit on both sides, each sentence with its figure."""

from __future__ import annotations

import itertools
import math
import re
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from prm_eval.evaluation.curves import graded_slots
from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from prm_eval.rewards import load_reward_model
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.rewards.scoring import score_pool
from prm_eval.submissions import suspicion
from prm_eval.submissions.formats import ModelEntry
from prm_eval.submissions.suspicion import (
    CHI_SQUARE_LIMIT,
    FEW_VALUES,
    GRADES_AUROC,
    LEAST_CANDIDATES,
    NAMES,
    Cells,
    PoolFacts,
    _by_size,
    _cell,
    _found,
    blindness,
    outliers,
    pool_facts,
    read_rewards,
    suspicions,
    within_problem_auroc,
)
from tests.conftest import write_jsonl

NAN = math.nan


def facts_of(correct: np.ndarray, cells=(), answered=None) -> PoolFacts:
    there = np.ones_like(correct)
    known = there if answered is None else answered
    # lengths that say nothing, and as many answers as candidates
    lengths, classes = np.full(correct.shape, 9.0), np.tile(np.arange(correct.shape[1]), (len(correct), 1))
    return PoolFacts(correct, there, known, tuple(cells), lengths, np.where(known, classes, -1))


def told(table, correct, cells=(), answered=None) -> dict:
    return {each.name: each for each in _found(table, facts_of(correct, cells, answered))}


def test_outliers_by_hand() -> None:
    """Units of the spread of the quartiles, at least 1 where numbers have a scale; the limit itself is not beyond
    it."""
    ordinary = np.array([0.0, 1.0, 2.0, 3.0, 4.0])  # quartiles 1, 2, 3: a unit of 2
    text = "1 of 6 rewards lie more than 1,000 times the distance between the quartiles from the median"
    found = outliers(np.append(ordinary, 1e5), "raw")
    assert (found.name, found.text, found.value) == ("outliers", text, 1.0)
    assert outliers(np.array([0.0, 1.0, 2.0, 3.0, 2002.0]), "raw") is None
    assert outliers(np.array([0.0, 1.0, 2.0, 3.0, 2002.1]), "raw").value == 1
    assert outliers(np.array([-1998.1, 1.0, 2.0, 3.0, 2002.1]), "raw").value == 2
    for kind in ("logodds", "value"):
        assert outliers(np.array([0.0, 0.1, 0.1, 0.1, 1000.1]), kind) is None
        assert outliers(np.array([0.0, 0.1, 0.1, 0.1, 1000.2]), kind).value == 1
    assert outliers(np.array([0.0, 0.1, 0.1, 0.1, 1000.2]), "raw") is None  # no spread, no unit
    assert outliers(np.zeros(0), "raw") is None


def test_areas_problem_by_problem() -> None:
    table = np.array([[1.0, 2.0, 2.0, NAN], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]])
    correct = np.array([[True, True, False, False], [True] * 4, [False] * 4, [True, False, True, False]])
    assert within_problem_auroc(table, correct, ~np.isnan(table)).tolist() == [0.25, 0.75]
    assert within_problem_auroc(table[1:3], correct[1:3], ~np.isnan(table[1:3])).tolist() == []


def pool_of(problems: int, m: int = 10, seed: int = 0):
    correct = np.random.default_rng(seed).random((problems, m)) < 0.5
    correct[:, 0], correct[:, 1] = True, False
    return correct


def test_few_values_are_few_among_many() -> None:
    correct = pool_of(5, 40)
    few = np.tile(np.arange(FEW_VALUES - 1), 11)[:200].reshape(5, 40).astype(float)
    found = told(few, correct)
    assert list(found) == ["few-values"] and found["few-values"].value == 19.0
    assert found["few-values"].text == "only 19 distinct rewards among 200"
    enough = few.copy()
    enough[0, 0] = 99.0
    assert told(enough, correct) == {}
    fewer = few.copy()
    fewer[0, 0] = NAN
    assert LEAST_CANDIDATES == 200 and told(fewer, correct) == {}


@pytest.mark.parametrize(("problems", "names"), [(9, []), (10, ["grades"])])
def test_the_grades_themselves(problems, names) -> None:
    """Ten problems prove something, nine do not; the oracle asks for twenty."""
    correct = pool_of(problems)
    table = correct + np.random.default_rng(1).random(correct.shape) / 2
    found = told(table, correct)
    assert list(found) == names
    if names:
        assert found["grades"].value == 1.0
        assert found["grades"].text == (
            "a right candidate beats a wrong one of its problem with probability 1.0000: almost the grades"
        )


def test_the_oracle_of_twenty_problems() -> None:
    correct = pool_of(20)
    table = correct + np.random.default_rng(1).random(correct.shape) / 2
    found = told(table, correct)
    assert list(found) == ["grades", "oracle"] and found["oracle"].value == pytest.approx(1.0)
    assert found["oracle"].text == "best-of-n at all slots recovers 100% of what lies between the mean and the oracle"
    assert list(told(table[:19], correct[:19])) == ["grades"]
    # a chosen one without an answer cannot be chosen: the oracle is out of reach
    answered = ~correct
    assert list(told(table, correct, answered=answered)) == ["grades"]


def test_better_than_any_known_verifier() -> None:
    """A problem in twenty is got half wrong: 0.97 with its error is above 0.95, and below the grades."""
    correct = np.zeros((40, 10), dtype=bool)
    correct[:, :5] = True
    table = np.tile(np.linspace(2, 1, 10), (40, 1))
    table[:, 4], table[:, 5] = 1.5, 1.6  # one pair of 25 in the wrong order
    found = told(table, correct)
    assert found["auroc"].value == pytest.approx(0.96)
    assert found["auroc"].text == "a right candidate beats a wrong one of its problem with probability 0.960 ± 0.000"
    table[::2, 4], table[::2, 5] = 1.5, 1.4
    mixed = told(table, correct)["auroc"]  # 0.96 and 1.00 in turn: mean 0.98, SD 0.0203, error 0.0032
    assert mixed.value == pytest.approx(0.98) and mixed.text.endswith("0.980 ± 0.006")
    assert "auroc" not in told(table[:19], correct[:19])
    table[:, 3] = 1.05  # further pairs in the wrong order
    assert "auroc" not in told(table, correct)
    assert GRADES_AUROC == 0.99


def made_cells(texts_by_problem, classes, shuffles=60):
    generator = np.random.default_rng(5)
    found = []
    for row, texts in enumerate(texts_by_problem):
        own = np.arange(len(texts))
        orders = np.concatenate([own[None], generator.permuted(np.tile(own, (shuffles, 1)), axis=1)])
        found.append(_cell(row, own, texts, np.array(classes), orders))
    return found


def test_a_cell_knows_lengths_neighbours_and_answers() -> None:
    texts = ["a b c d", "a b c e", "x y", "x y z z z z z", ""]
    (cell,) = made_cells([texts], [0, 0, 1, 1, 0], shuffles=3)
    assert (cell.problems.tolist(), cell.slots.tolist()) == ([0], [[0, 1, 2, 3, 4]])
    length = np.log1p([7, 7, 3, 13, 0])
    assert cell.length[0] == pytest.approx((length - length.mean()) / length.std())
    assert cell.nearest[0].argmax(axis=0)[:4].tolist() == [1, 0, 3, 2] and cell.nearest[0].sum() == 5
    wanted = [[0, 1, 0, 0, 1], [1, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [1, 1, 0, 0, 0]]
    assert cell.same_answer[0].tolist() == wanted
    assert cell.orders.shape == (1, 4, 5)


def test_who_reads_texts_is_not_blind() -> None:
    """Rewards by length, by neighbour or by answer are far above the limit; random ones are below; refusals count
    nothing."""
    generator = np.random.default_rng(3)
    texts = [[" ".join(["word"] * int(k)) for k in generator.permutation(np.arange(3, 13))] for _ in range(40)]
    cells = tuple(made_cells(texts, [0, 1] * 5))
    by_length = np.array([[len(text) + 0.1 * at for at, text in enumerate(row)] for row in texts], dtype=float)
    assert blindness(by_length, cells) > 10 * CHI_SQUARE_LIMIT
    assert blindness(-by_length, cells) == pytest.approx(blindness(by_length, cells), rel=0.2)
    by_answer = np.tile([1.0, 0.0], (40, 5)) + generator.random((40, 10)) / 10
    assert blindness(by_answer, cells) > 10 * CHI_SQUARE_LIMIT
    random = generator.random((40, 10))
    assert blindness(random, cells) < CHI_SQUARE_LIMIT
    assert blindness(random, cells[:39]) is None  # 390 candidates are too few
    gap = random.copy()
    gap[0, 0] = NAN
    assert blindness(gap, cells) is None
    gap[0] = 0.5
    assert blindness(gap, cells) is None
    assert blindness(random, ()) is None


def test_the_measure_of_blindness_by_hand() -> None:
    """Sum over cells of own less mean of the shuffled, over the root of the summed variances, squared and added."""
    generator = np.random.default_rng(8)
    texts = [
        [" ".join(generator.choice(["u", "v", "w"], int(k))) for k in generator.integers(2, 9, 20)] for _ in range(21)
    ]
    cells = tuple(made_cells(texts, generator.integers(0, 3, 20), shuffles=7))
    table = generator.integers(0, 6, (21, 20)).astype(float)
    centre, spread = np.zeros(3), np.zeros(3)
    for cell in cells:
        values = table[cell.problems[0]]
        ranks = np.array([(values < each).sum() + (values <= each).sum() for each in values]) / 2
        ranks = (ranks - ranks.mean()) / ranks.std()
        length, nearest = cell.length[0], cell.nearest[0].argmax(axis=0)
        rows = []
        for order in cell.orders[0]:
            r = ranks[order]
            same = sum(r[i] * r[j] for i in range(20) for j in range(i) if cell.same_answer[0, i, j])
            rows.append([sum(r * length), sum(r[i] * r[nearest[i]] for i in range(20)), same])
        rows = np.array(rows)
        centre += rows[0] - rows[1:].mean(axis=0)
        spread += rows[1:].var(axis=0, ddof=1)
    wanted = (centre**2 / spread).sum()
    assert blindness(table, cells) == pytest.approx(wanted, rel=1e-9)
    together = _by_size(cells)
    assert len(together) == 1 and blindness(table, together) == pytest.approx(wanted, rel=1e-9)


def test_blind_rewards_that_know_the_grades_are_told() -> None:
    generator = np.random.default_rng(4)
    correct = np.tile([True, False], (60, 10))
    texts = [[" ".join(["word"] * int(k)) for k in generator.integers(3, 60, 20)] for _ in range(60)]
    cells = []
    for row, all_of_them in enumerate(texts):
        for grade in (0, 1):
            slots = np.arange(grade, 20, 2)
            own = np.arange(10)[None]
            orders = np.concatenate([own, generator.permuted(np.tile(own, (60, 1)), axis=1)])
            one = _cell(row, slots, [all_of_them[slot] for slot in slots], np.arange(10) % 3, orders)
            cells.append(one)
            assert isinstance(one, Cells)
    table = correct * 1.0 + generator.normal(0, 1, correct.shape)
    found = told(table, correct, cells)
    assert list(found) == ["text-blind"]
    assert found["text-blind"].value == blindness(table, tuple(cells)) < CHI_SQUARE_LIMIT
    assert found["text-blind"].text == (
        "within a problem the rewards tell right from wrong, but among candidates of the same grade they have nothing "
        "to "
        f"do with length, answer or similar texts (chi-square {found['text-blind'].value:.1f} of 3 degrees of freedom; "
        "a "
        "reader of texts is far above)"
    )
    assert told(generator.normal(0, 1, correct.shape), correct, cells) == {}, "random rewards know no grade"


def test_every_doubt_has_a_line_for_the_board() -> None:
    names = {"grades", "auroc", "oracle", "few-values", "text-blind", "outliers", "own-recipe", "unrun-rule"}
    names |= {"refusals", "votes", "alike", "differs", "one-step"}
    assert set(NAMES) == names and all(re.match(r"[a-z][a-z ,-]+[a-z]$", line.lower()) for line in NAMES.values())
    assert all(line[0].islower() and line[-1].islower() for line in NAMES.values())


TEXTS = ["so it is {}", "so it is {}", "then {} follows here", "hence we get {}", "clearly {}", "at last {} it is"]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Two problems of 13 candidates: six right (two of one text), six wrong, one without an answer; one slot
    missing."""
    folder = tmp_path_factory.mktemp("suspicion")
    rows = [
        {"id": name, "problem": "1+1?", "answer": "2", "samples": [
            {"text": text.format(f"\\boxed{{{answer}}}"), "correct": answer == 2} for answer in (2, 3) for text in TEXTS
        ] + [{"text": "no idea", "correct": False}]}
        for name in ("a", "b")
    ]  # fmt: skip
    del rows[1]["samples"][3:5]
    pool = import_pool(write_jsonl(folder / "plain.jsonl", rows), folder / "pool", slots=13).pool
    grade_pool(pool)
    return pool


def in_order(facts: PoolFacts) -> list[tuple[int, list[int]]]:
    return [each for some in facts.cells for each in zip(some.problems.tolist(), some.slots.tolist(), strict=True)]


def test_the_facts_of_a_pool(graded) -> None:
    """What is there, right and answered; cells of different texts, each by its first slot, four of them or more."""
    facts = pool_facts(str(graded.path), graded.info.content_hash)
    assert facts.correct.tolist() == [[True] * 6 + [False] * 7, [True] * 4 + [False] * 9]
    assert facts.present.tolist() == [[True] * 13, [True] * 11 + [False] * 2]
    assert facts.answered.tolist() == [[True] * 12 + [False], [True] * 10 + [False] * 3]
    cells = in_order(facts)
    # the second problem has three different right texts: too few for a cell
    assert cells == [(0, [0, 2, 3, 4, 5]), (0, [6, 8, 9, 10, 11, 12]), (1, [4, 6, 7, 8, 9, 10])]
    generator = np.random.default_rng(20_230_531)
    texts = {slot: text for (_, table) in list(graded.blocks(["problem_id", "slot", "text"]))[:1]
             for slot, text in zip(table.column("slot").to_pylist(), table.column("text").to_pylist(),
             strict=True)}  # fmt: skip
    for cell in facts.cells:
        size = cell.slots.shape[1]
        own, others = cell.orders[0, 0], cell.orders[0, 1:]
        assert own.tolist() == list(range(size))
        assert np.array_equal(others, generator.permuted(np.tile(np.arange(size), (100, 1)), axis=1))
        length = np.log1p([len(texts[slot]) for slot in cell.slots[0]])
        assert cell.length[0] == pytest.approx((length - length.mean()) / max(length.std(), 1e-12))
    assert facts.cells[0].same_answer.sum() == 5 * 4  # all right ones have one answer
    same = facts.cells[1].same_answer[0]
    assert same[:5, :5].sum() == 5 * 4 and same[5].sum() == 0


def test_cells_are_bounded(graded, monkeypatch) -> None:
    """A pool of any size has cells of at most so many candidates, and at most so many of them."""
    pool_facts.cache_clear()
    monkeypatch.setattr(suspicion, "MOST_CELLS", 2)
    monkeypatch.setattr(suspicion, "MOST_CELL", 5)
    facts = pool_facts(str(graded.path), graded.info.content_hash)
    assert in_order(facts) == [
        (0, [0, 2, 3, 4, 5]),
        (0, [6, 8, 9, 10, 11]),
    ]
    assert pool_facts(str(graded.path), graded.info.content_hash) is facts
    pool_facts.cache_clear()


class Stand:
    """A submission, as far as doubts look at it."""

    tier = "recomputed"
    verification = None

    def __init__(self, **fields) -> None:
        self.file = SimpleNamespace(model=ModelEntry("they/model", **fields))
        self.rewards = SimpleNamespace(info=SimpleNamespace(score_type="raw"))


def test_all_doubts_of_a_submission(graded) -> None:
    """Of its word, of rewards far out where there is a candidate, and of the table; an ordinary one has none."""
    table = np.random.default_rng(2).normal(0, 1, (2, 13))
    table[1, 11:] = NAN
    assert suspicions(Stand(), graded, table) == []
    assert [each.name for each in suspicions(Stand(recipe="x"), graded, table)] == ["own-recipe"]
    far = table.copy()
    far[0, 0] = -1e9
    assert [each.name for each in suspicions(Stand(recipe="x"), graded, far)] == ["own-recipe", "outliers"]
    near = np.where(np.isnan(table), NAN, 0.1)
    near[0, 0] = 50.0  # without a spread: raw numbers have no unit, log-odds have 1
    assert suspicions(Stand(), graded, near) == []
    near[0, 0] = 2_000.0
    assert suspicions(Stand(), graded, near) == []
    logodds = Stand()
    logodds.rewards.info.score_type = "logodds"
    assert [each.name for each in suspicions(logodds, graded, near)] == ["outliers"]
    far = table.copy()
    far[1, 12] = -1e9  # no candidate is there
    assert suspicions(Stand(), graded, far) == []


@pytest.mark.parametrize(
    ("found", "doubts"),
    [
        ({"verdict": "differs", "scope": "all"}, ["differs"]),
        ({"verdict": "differs", "scope": "sample"}, ["differs"]),
        # it agreed, with enough to earn a tier, which was not earned: something was changed since
        ({"verdict": "agrees", "scope": "sample", "leeway": 1.5}, ["differs"]),
        # a sample that was too small says nothing against anybody
        ({"verdict": "agrees", "scope": "sample", "leeway": 9.0}, []),
    ],
)
def test_a_model_that_gives_other_rewards_is_a_doubt(graded, found, doubts) -> None:
    """A row that failed its check would stand like one that nobody has looked at."""
    empty = {"compared": 9, "beyond": 3, "max_difference": 0.0, "gained": None, "verified_sha256": None, "leeway": None}
    submission, table = Stand(), np.random.default_rng(2).normal(0, 1, (2, 13))
    submission.verification = SimpleNamespace(**empty | found)
    assert [each.name for each in suspicions(submission, graded, table)] == doubts
    submission.tier = "spot-checked"
    assert suspicions(submission, graded, table) == []


def test_rewards_are_read_where_they_are_not_at_hand(graded, monkeypatch) -> None:
    table = np.zeros((2, 13))
    table[0, 0] = 1e9
    table[:, 1:7] = [0, 1, 2, 3, 4, 5]
    monkeypatch.setattr(suspicion, "read_rewards", lambda submission, pool: table)
    assert [each.name for each in suspicions(Stand(), graded)] == ["outliers"]


def test_rewards_are_the_aggregated_ones_of_the_slots(graded, tmp_path) -> None:
    """One reward a candidate, as the file gives it; NaN where a slot is empty."""
    file = score_pool(graded, load_reward_model("boxed-support"), tmp_path / "rewards")
    found = read_rewards(SimpleNamespace(rewards=file), graded)
    wanted = [row.rewards["it"].rewards for row in graded_slots(graded, "own", [NamedRewards("it", file)])]
    assert np.array_equal(found, np.stack(wanted), equal_nan=True)
    assert found.shape == (2, 13) and np.isnan(found).sum() == 2 and np.isnan(found[1, 11:]).all()


def test_the_nearest_text_is_that_of_most_common_word_pairs() -> None:
    """Pairs of words, counted, of unit length: a text of the same pairs in another order is the nearest, a longer one
    not."""
    texts = ["a b c a b", "a b a b c a b", "c a b c", "z z z z", "q"]
    (cell,) = made_cells([texts], [0] * 5, shuffles=1)
    vectors = []
    for text in texts:
        words = text.split()
        counts: dict[int, float] = {}
        for pair in itertools.pairwise(words):
            bucket = zlib.crc32(" ".join(pair).encode()) % 512
            counts[bucket] = counts.get(bucket, 0.0) + 1
        norm = math.sqrt(sum(each**2 for each in counts.values())) or 1.0
        vectors.append({bucket: each / norm for bucket, each in counts.items()})
    for one in range(3):
        near = [sum(vectors[one].get(k, 0.0) * v for k, v in vectors[other].items()) if other != one else -1.0
                for other in range(5)]  # fmt: skip
        assert cell.nearest[0, :, one].argmax() == int(np.argmax(near))
