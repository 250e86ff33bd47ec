"""Check, by drawing and comparing, that no problem of one split occurs in another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from prm_eval.miniature.problems import SPLITS, iter_problems, miniature_problems
from prm_eval.progress import Progress, silent


@dataclass(frozen=True)
class Overlaps:
    """What was drawn: problems and normal forms by split, and the normal forms that two splits share."""

    drawn: dict[str, int]
    forms: dict[str, int]
    shared: dict[tuple[str, str], list[str]]


def check_splits(
    seeds: Sequence[int],
    train: int,
    count: int,
    progress: Progress = silent,
    trained: Iterable[str] = (),
) -> Overlaps:
    """Draw every split with every seed and intersect their normal forms.

    Args:
        seeds: Each is used for every split, so one seed's test problems meet another's training problems too.
        train: Training problems a seed, drawn as training draws them (with repetitions).
        count: Distinct validation and test problems a seed.
        progress: Called with the number of problems drawn so far.
        trained: Normal forms of what models were really trained on, which count as training problems too.
    """
    forms: dict[str, set[str]] = {split: set() for split in SPLITS}
    forms["train"].update(trained)
    drawn = dict.fromkeys(SPLITS, 0)
    for split in SPLITS:
        for seed in seeds:
            problems = (
                islice(iter_problems("train", seed), train)
                if split == "train"
                else miniature_problems(split, seed, count)
            )
            for each in problems:
                forms[split].add(each.normal_form)
                drawn[split] += 1
                progress(sum(drawn.values()))
    shared = {(a, b): sorted(forms[a] & forms[b]) for a, b in combinations(SPLITS, 2)}
    return Overlaps(drawn, {split: len(each) for split, each in forms.items()}, shared)
