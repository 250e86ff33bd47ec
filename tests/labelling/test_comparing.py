"""Agreement of labels: counted by hand, and again by a plain loop over random labels."""

from __future__ import annotations

import json
import random

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.labelling.comparing import as_json, as_table, compare_labels
from prm_eval.labelling.labellers import label_by
from prm_eval.stepsets.labels import by_first_error, by_ratings, by_soft
from prm_eval.texts.steps import split_steps
from tests.labelling.conftest import SMALL, make_pool, write_labels


def n_of(candidate) -> int:
    return len(split_steps(candidate.text, "line"))


def test_agreement_counted_by_hand(small, tmp_path) -> None:
    """Steps behind the reference's first wrong one are not compared (an oracle and rollouts mean other things there);
    neutral counts as right; a step that one of the two has not labelled is not compared."""
    said = {"1+1 = 3\n\\boxed{3}": [-1, -1], "2*3 = 5\n\\boxed{6}": [0, -1]}
    reference = write_labels(
        small, tmp_path / "oracle", lambda each: by_ratings(said.get(each.text, [1] * n_of(each)), n_of(each))
    )
    theirs = {"1+1 = 3\n\\boxed{3}": 0, "2*3 = 5\n\\boxed{6}": 0, "no idea": 0}
    other = write_labels(
        small,
        tmp_path / "model",
        lambda each: by_first_error(theirs.get(each.text, -1), n_of(each)),
        kind="first_error",
    )
    [found] = compare_labels(small, reference, [other])
    value = {name: figure.value for name, figure in found.figures.items()}
    # compared: 2 + 1 + 2 + 3 + 1 steps of a, 1 + 2 + 1 + 2 of b (its third candidate is unknown behind the false alarm)
    assert found.steps == 15 and found.candidates == 9 and found.problems == 2
    assert value["steps agree"] == 13 / 15  # "no idea", and the alarm one step too early
    assert value["wrong steps found"] == 1.0  # of the one that both have labelled
    assert value["right steps called wrong"] == 2 / 14
    assert value["first error agrees"] == 7 / 9
    assert value["with an error"] == 1 / 2
    assert value["without one"] == 6 / 7
    lines = as_table(reference, [found])
    assert "oracle (people, someone)" in lines[0] and lines[1].endswith("model (people)") and "86.7 [" in lines[4]
    assert json.loads(json.dumps(as_json(reference, [found])))["rows"][0]["steps"] == 15


def test_agreement_against_a_plain_loop(tmp_path) -> None:
    """Sums by problem and ratios in arrays, against a loop over steps; labels with holes and soft ones among them."""
    rng = random.Random(4)
    texts = {
        f"p{k}": ("q", "1", ["\n".join("x" * rng.randint(1, 5)) + f"\nend{j}" for j in range(6)]) for k in range(12)
    }
    pool = make_pool(tmp_path / "p", texts, grade=False)
    ours = {}
    theirs = {}
    for _, candidates in pool:
        for each in candidates:
            key = (each.problem_id, each.slot)
            ours[key] = by_ratings([rng.choice([1, 1, 1, 0, -1, None]) for _ in range(n_of(each))], n_of(each))
            theirs[key] = by_soft([rng.choice([1.0, 0.5, 0.0, None]) for _ in range(n_of(each))], n_of(each))
    one = write_labels(pool, tmp_path / "one", lambda each: ours[each.problem_id, each.slot])
    two = write_labels(pool, tmp_path / "two", lambda each: theirs[each.problem_id, each.slot], kind="soft")
    agree = steps = same = known = 0
    for key, label in ours.items():
        for at, (a, b) in enumerate(zip(label.ratings, theirs[key].ratings, strict=True)):
            if label.first_error in (None, -1) or at <= label.first_error:
                steps += a is not None and b is not None
                agree += a is not None and b is not None and (a == -1) == (b == -1)
        both = label.first_error is not None and theirs[key].first_error is not None
        known += both
        same += both and label.first_error == theirs[key].first_error
    [found] = compare_labels(pool, one, [two], draws=200)
    assert steps > 50 and known > 10
    assert found.figures["steps agree"].value == pytest.approx(agree / steps)
    assert found.figures["first error agrees"].value == pytest.approx(same / known)
    assert found.figures["steps agree"].low < found.figures["steps agree"].value < found.figures["steps agree"].high


def test_agreement_everywhere_is_not_certainty(small, tmp_path) -> None:
    """Two problems on which labels agree say little of others: [100, 100] would claim to know."""
    one = write_labels(small, tmp_path / "one", lambda each: by_first_error(-1, n_of(each)), kind="first_error")
    [found] = compare_labels(small, one, [one])
    figure = found.figures["steps agree"]
    assert (figure.value, figure.high) == (1.0, 1.0) and figure.low == pytest.approx(0.025**0.5)
    assert found.figures["wrong steps found"].value is None


def test_labels_that_are_of_other_steps_or_candidates_are_not_compared(small, tmp_path) -> None:
    """A pool that another splitter cuts otherwise: index 1 is another step there, and any share would be a fiction."""
    first = next(iter(small))[1][3]
    one = write_labels(small, tmp_path / "one", lambda each: by_first_error(-1, n_of(each)), kind="first_error")
    two = label_by(
        small,
        tmp_path / "two",
        lambda _, each: by_first_error(-1, 1),
        source="people",
        by="x",
        kind="first_error",
        splitter="blank_line",
        wanted={("a", first.candidate_id)},
    ).labels
    with pytest.raises(DataError, match="cut by 'blank_line'"):
        compare_labels(small, one, [two])
    last = small.candidates(8, 1)[0]
    apart = write_labels(
        small,
        tmp_path / "apart",
        lambda each: by_first_error(-1, n_of(each)),
        kind="first_error",
        wanted={("b", last.candidate_id)},
    )
    with pytest.raises(PrmEvalError, match="no candidate in common"):
        compare_labels(small, apart, [two])
    other = make_pool(tmp_path / "other", {"b": SMALL["b"]})
    with pytest.raises(DataError, match="labels of the pool"):
        compare_labels(other, one, [two])
