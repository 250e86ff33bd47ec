"""Every figure of a step evaluation against the plainest way to compute it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.locating import NO_ERROR, f1_of_hits, hit_columns, predictions, resampled_f1
from prm_eval.evaluation.stepwise.prmbench import prmbench, resampled_score
from prm_eval.evaluation.stepwise.resampling import area, average_precision, estimate, mean_of
from prm_eval.evaluation.stepwise.scores import NOT_SCORED
from prm_eval.evaluation.stepwise.separating import lowest_is_first_error, resampled_auc
from prm_eval.evaluation.stepwise.thresholds import candidates, choose, curve
from tests.evaluation.stepwise.sets import scored

examples = settings(deadline=None, max_examples=80)
TENTHS = st.integers(0, 10).map(lambda k: k / 10)


@st.composite
def small(draw: st.DrawFn) -> tuple[SetArrays, list[float | None]]:
    """A set of up to eight solutions of up to four problems, with scores that tie and may be missing."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=8))
    errors = [draw(st.integers(-1, n - 1)) for n in counts]
    ratings = [[1] * n if k < 0 else [1] * k + [-1] + [-2] * (n - k - 1) for n, k in zip(counts, errors, strict=True)]
    problems = [draw(st.integers(0, 3)) for _ in counts]
    numbered = [list(dict.fromkeys(problems)).index(each) for each in problems]
    found = SetArrays(
        "small",
        "first_error",
        tuple(f"s{i}" for i in range(len(counts))),
        np.array(counts),
        np.full(sum(counts), 10),
        np.array(errors),
        np.array([each for row in ratings for each in row]),
        np.array(numbered),
        ("",),
        np.zeros(len(counts), dtype=np.int64),
        np.full(len(counts), -1),
        np.full(len(counts), np.nan),
    )
    missing = st.none() if draw(st.booleans()) else TENTHS
    return found, [draw(st.one_of(TENTHS, missing)) for _ in range(sum(counts))]


def by_solution(arrays: SetArrays, values: list[float | None]) -> list[list[float | None]]:
    return [values[start : start + n] for start, n in zip(arrays.starts, arrays.counts, strict=True)]


def plain_prediction(scores: list[float | None], threshold: float) -> int:
    if any(each is None for each in scores):
        return NOT_SCORED
    return next((i for i, each in enumerate(scores) if each is not None and each < threshold), NO_ERROR)


def plain_f1(arrays: SetArrays, values: list[float | None], threshold: float) -> float | None:
    said = [plain_prediction(each, threshold) for each in by_solution(arrays, values)]
    pairs = list(zip(said, arrays.first_error.tolist(), strict=True))
    wrong = [a == b for a, b in pairs if b >= 0]
    clean = [a == b for a, b in pairs if b == NO_ERROR]
    if not wrong or not clean:
        return None
    a, b = sum(wrong) / len(wrong), sum(clean) / len(clean)
    return 2 * a * b / (a + b) if a + b else 0.0


@examples
@given(small(), TENTHS)
def test_predictions_and_f1(case: tuple[SetArrays, list[float | None]], threshold: float) -> None:
    """A prediction off by one, or a missing score that counts as right, moves every published F1."""
    arrays, values = case
    said = predictions(scored(values), arrays, threshold)
    assert said.tolist() == [plain_prediction(each, threshold) for each in by_solution(arrays, values)]
    found = f1_of_hits(hit_columns(said, arrays).sum(axis=0)[None, :])[0] if arrays.n else np.nan
    expected = plain_f1(arrays, values, threshold)
    assert (np.isnan(found) and expected is None) or found == pytest.approx(expected)


@examples
@given(small())
def test_the_curve_is_f1_at_each_threshold(case: tuple[SetArrays, list[float | None]]) -> None:
    """The curve is computed from ends of intervals; were one of them closed on the wrong side, a threshold would be
    chosen that does not give the F1 it promises."""
    arrays, values = case
    grid = np.arange(12) / 10
    found = curve(scored(values), arrays, grid).f1
    for threshold, f1 in zip(grid, found, strict=True):
        expected = plain_f1(arrays, values, threshold)
        assert (np.isnan(f1) and expected is None) or f1 == pytest.approx(expected)


@examples
@given(small(), st.sampled_from(["grid", "exact"]))
def test_the_chosen_threshold_is_the_smallest_best(case: tuple[SetArrays, list[float | None]], how: str) -> None:
    """A larger maximiser than the smallest is another published threshold (ImplicitPRM takes the smallest)."""
    arrays, values = case
    scores = scored(values)
    tried = candidates(scores, how)  # type: ignore[arg-type]
    f1s = [plain_f1(arrays, values, each) for each in tried]
    if not len(tried) or f1s[0] is None:
        return
    best = max(f1 for f1 in f1s if f1 is not None)
    first = next(t for t, f1 in zip(tried, f1s, strict=True) if f1 is not None and f1 >= best - 1e-12)
    assert choose(scores, arrays, how) == first  # type: ignore[arg-type]


def plain_area(scores: np.ndarray, good: np.ndarray, weights: np.ndarray) -> float | None:
    wins = total = 0.0
    for i, j in product(np.flatnonzero(good == 1), np.flatnonzero(good == 0)):
        pair = weights[i] * weights[j]
        total += pair
        wins += pair * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
    return wins / total if total else None


@examples
@given(st.data())
def test_area_leaving_out_and_drawing_again(data: st.DataObject) -> None:
    """The area without a problem, or with problems drawn twice, from one sort: an error here is a wrong limit."""
    n = data.draw(st.integers(1, 12))
    scores = np.array(data.draw(st.lists(TENTHS, min_size=n, max_size=n)))
    good = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=np.float64)
    problem = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    _, problem = np.unique(problem, return_inverse=True)
    clusters = int(problem.max()) + 1
    bootstrap = ClusterBootstrap(clusters, seed=1, resamples=7)
    found = area(scores, good, problem, bootstrap)

    def same(value: float, expected: float | None) -> bool:
        return bool(np.isnan(value)) if expected is None else value == pytest.approx(expected)

    assert same(found.value, plain_area(scores, good, np.ones(n)))
    for cluster in range(clusters):
        kept = (problem != cluster).astype(np.float64)
        if plain_area(scores, good, np.ones(n)) is not None:
            assert same(found.without[cluster], plain_area(scores, good, kept))
    (counts,) = bootstrap.count_blocks()
    for drawn, weights in zip(found.drawn, counts, strict=True):
        assert same(drawn, plain_area(scores, good, weights[problem]))


@examples
@given(st.lists(st.tuples(TENTHS, st.integers(0, 1)), min_size=1, max_size=20))
def test_average_precision_is_that_of_scikit_learn(rows: list[tuple[float, int]]) -> None:
    """Another rule for ties gives another figure than every paper that prints average precision."""
    metrics = pytest.importorskip("sklearn.metrics")
    scores, good = np.array([a for a, _ in rows]), np.array([b for _, b in rows], dtype=np.float64)
    if good.min() == 1:
        assert np.isnan(average_precision(scores, good, of=0.0))
        return
    assert average_precision(scores, good, of=0.0) == pytest.approx(metrics.average_precision_score(1 - good, -scores))


@examples
@given(small())
def test_lowest_is_first_error(case: tuple[SetArrays, list[float | None]]) -> None:
    """Ties share, and what is not scored adds nothing; a stable arg-min would favour early steps."""
    arrays, values = case
    total = count = 0.0
    for scores, k in zip(by_solution(arrays, values), arrays.first_error, strict=True):
        if k < 0:
            continue
        count += 1
        if all(each is not None for each in scores):
            low = min(each for each in scores if each is not None)
            total += (scores[k] == low) / scores.count(low)
    found = lowest_is_first_error(scored(values), arrays)
    assert found is None if not count else found == pytest.approx(total / count)


@examples
@given(small())
def test_jackknife_of_f1_leaves_out_whole_problems(case: tuple[SetArrays, list[float | None]]) -> None:
    """Leaving out solutions instead of problems understates the error (ProcessBench has up to four a problem)."""
    arrays, values = case
    bootstrap = ClusterBootstrap(arrays.n_problems, seed=0, resamples=5)
    said = predictions(scored(values), arrays, 0.5)
    found = resampled_f1(said, arrays, bootstrap)
    for problem in range(arrays.n_problems):
        kept = arrays.problem != problem
        if not kept.any():
            continue
        part = arrays.take(kept, "part")
        steps = [each for own, keep in zip(by_solution(arrays, values), kept, strict=True) if keep for each in own]
        expected = plain_f1(part, steps, 0.5)
        assert (
            np.isnan(found.without[problem]) if expected is None else found.without[problem] == pytest.approx(expected)
        )


def test_the_error_of_a_mean_of_strata_adds_in_squares() -> None:
    """The average of four F1 has the root of the sum of the squared errors over four; a pooled jackknife has not."""
    generator = np.random.default_rng(3)
    parts, errors = [], []
    for size in (20, 35, 50):
        scores, good = generator.random(size), (generator.random(size) < 0.5).astype(np.float64)
        bootstrap = ClusterBootstrap(size, seed=size, resamples=50)
        parts.append(area(scores, good, np.arange(size), bootstrap))
        errors.append(estimate(parts[-1], bootstrap).se_jackknife)
    whole = estimate(mean_of(parts), ClusterBootstrap(105, seed=0, resamples=50))
    assert whole.value == pytest.approx(np.mean([each.value for each in parts]))
    assert whole.se_jackknife == pytest.approx(np.sqrt(sum(each**2 for each in errors if each)) / 3)


@examples
@given(st.data())
def test_prm_score(data: st.DataObject) -> None:
    """Good steps kept, bad ones flagged, and the strict sign: counted one by one."""
    n = data.draw(st.integers(1, 10))
    good = data.draw(st.lists(st.sampled_from([1, -1]), min_size=n, max_size=n))
    values = data.draw(st.lists(TENTHS, min_size=n, max_size=n))
    arrays = SetArrays(
        "small",
        "every_step",
        ("a",),
        np.array([n]),
        np.full(n, 3),
        np.array([good.index(-1) if -1 in good else -1]),
        np.array(good),
        np.array([0]),
        ("deception",),
        np.array([0]),
        np.array([-1]),
        np.array([np.nan]),
    )
    bootstrap = ClusterBootstrap(1, seed=0, resamples=3)
    scores = scored(values)
    found = prmbench(scores, arrays, 0.5, resampled_score(scores, arrays, 0.5, bootstrap), bootstrap)
    called = [each > 0.5 for each in values]
    tp = sum(c and g == 1 for c, g in zip(called, good, strict=True))
    fp = sum(c and g == -1 for c, g in zip(called, good, strict=True))
    tn = sum(not c and g == -1 for c, g in zip(called, good, strict=True))
    fn = sum(not c and g == 1 for c, g in zip(called, good, strict=True))
    assert found.matrix == (tp, fp, tn, fn)
    f1 = 2 * tp / (2 * tp + fp + fn) if 2 * tp + fp + fn else None
    negative = 2 * tn / (2 * tn + fp + fn) if 2 * tn + fp + fn else None
    assert found.f1 == (None if f1 is None else pytest.approx(f1))
    assert found.negative_f1 == (None if negative is None else pytest.approx(negative))
    both = None if f1 is None or negative is None else (f1 + negative) / 2
    assert found.prm_score.value == (None if both is None else pytest.approx(both))


@examples
@given(small())
def test_only_labelled_steps_count(case: tuple[SetArrays, list[float | None]]) -> None:
    """What comes after the first wrong step is unknown: its scores must not move the area under the curve."""
    arrays, values = case
    bootstrap = ClusterBootstrap(arrays.n_problems, seed=0, resamples=3)
    before = resampled_auc(scored(values), arrays, bootstrap).value
    changed = [0.123 if rating == -2 else each for each, rating in zip(values, arrays.ratings, strict=True)]
    after = resampled_auc(scored(changed), arrays, bootstrap).value
    assert before == after or (np.isnan(before) and np.isnan(after))
