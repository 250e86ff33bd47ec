"""The k-measures: what k candidates without a reward model are worth, on average or all together.

Each is the expectation over all k-subsets of a problem's M slots, in closed form; a missing slot is a wrong candidate.

* ``avg@k``: the mean accuracy of the k, which is c / M for every k (c of the M slots are correct).
* ``pass@k``: at least one is correct (Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv
  2107.03374); the same as the oracle.
* ``pass^k``: all k are correct (Yao et al. 2024, "tau-bench", arXiv 2406.12045).
* ``g-pass@k:TAU``: at least ceil(TAU k) are correct (Liu et al. 2024, "Are Your LLMs Capable of Stable Reasoning?",
  arXiv 2412.13147: G-Pass@k with the threshold tau). TAU = 1 is ``pass^k``.
* ``maj@k``: the majority vote of the k is right (Wang et al. 2022, "Self-Consistency Improves Chain of Thought
  Reasoning"); it is the selector ``majority`` of :mod:`prm_eval.selection.selectors`, and not computed here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.selection.accuracies import pass_at_n
from prm_eval.selection.subsets import check_ns

Floats = npt.NDArray[np.float64]

ALL = "all"
AVERAGE, ANY, EVERY, VOTE, SHARE = "avg@k", "pass@k", "pass^k", "maj@k", "g-pass@k"
EXPANDED = (AVERAGE, ANY, VOTE, f"{SHARE}:0.5", f"{SHARE}:0.75", EVERY)
"""What "all" stands for; the two thresholds are among those that Liu et al. print."""
_TAU = re.compile(r"(0?\.\d{1,6}|1(\.0{1,6})?)", re.ASCII)


@dataclass(frozen=True)
class KMeasure:
    """One of the k-measures.

    Attributes:
        kind: Its name, without a threshold.
        tau: The threshold of ``g-pass@k``, as it was written; "" for the others.
    """

    kind: str
    tau: str = ""

    @property
    def name(self) -> str:
        """The name as it is asked for: ``pass^k``, ``g-pass@k:0.75``."""
        return f"{self.kind}:{self.tau}" if self.tau else self.kind

    def at(self, k: int) -> str:
        """Return the name of the figure at one k: ``pass^8``, ``g-pass@8:0.75``."""
        return f"{self.kind[:-1]}{k}" + (f":{self.tau}" if self.tau else "")

    def least(self, k: int) -> int:
        """Return how many of the k must be correct; exact, where ceil(0.7 * 10) of floats would be 8."""
        if self.kind == EVERY:
            return k
        return ceil(Fraction(self.tau) * k) if self.kind == SHARE else 1

    def values(self, correct: int, m: int, ks: Sequence[int]) -> Floats:
        """Return its value for every k on a problem with so many correct of m slots.

        Raises:
            PrmEvalError: A k is below 1 or above m, or it is ``maj@k``, which needs the answers.
        """
        if self.kind == VOTE:
            raise PrmEvalError(f"{VOTE} is not a function of the number of correct candidates: ask the majority vote")
        check_ns(ks, m)
        if self.kind == AVERAGE:
            return np.full(len(ks), correct / m)
        if self.kind == ANY:
            return pass_at_n(correct, m, ks)
        return np.array([_at_least(m, correct, k, self.least(k)) for k in ks])


def read_k_measures(names: Sequence[str] | str) -> tuple[KMeasure, ...]:
    """Return k-measures by name, each once; "all" stands for :data:`EXPANDED`, and one text is one name.

    Raises:
        PrmEvalError: There is no such measure, or a threshold is not in (0, 1].
    """
    names = [names] if isinstance(names, str) else names
    found: list[KMeasure] = []
    for name in [each for given in names for each in (EXPANDED if given == ALL else (given,))]:
        kind, colon, tau = name.partition(":")
        plain = kind in (AVERAGE, ANY, EVERY, VOTE) and not colon
        if not plain and not (kind == SHARE and _TAU.fullmatch(tau) and Fraction(tau) > 0):
            raise PrmEvalError(
                f"unknown k-measure {name!r}; expected {', '.join((AVERAGE, ANY, EVERY, VOTE))}, {SHARE}:TAU with a "
                f"threshold above 0 and up to 1, such as {SHARE}:0.75, or {ALL}; the k stays a letter: the k "
                "are the n that are shown"
            )
        found.append(KMeasure(kind, tau))
    return tuple(dict.fromkeys(found))


def _at_least(m: int, correct: int, k: int, least: int) -> float:
    """Return the probability that a random k-subset of m slots holds at least so many of the correct ones."""
    first = max(0, k - (m - correct))
    if least <= first:
        return 1.0
    return float(min(1.0, _counts(m, correct, k)[least - first :].sum()))


@lru_cache(maxsize=4096)
def _counts(m: int, correct: int, k: int) -> Floats:
    """Return the probabilities of max(0, k - wrong), ..., min(k, correct) correct ones among k drawn (hypergeometric).

    By ratios of neighbours, from the most likely count outwards, and then divided by their sum: no binomial overflows,
    and all terms are positive.
    """
    first, last = max(0, k - (m - correct)), min(k, correct)
    j = np.arange(first, last, dtype=np.float64)
    ratios = (correct - j) * (k - j) / ((j + 1) * (m - correct - k + j + 1))
    middle = int((ratios >= 1).sum())
    up, down = np.cumprod(ratios[middle:]), np.cumprod(1 / ratios[:middle][::-1])[::-1]
    weights = np.concatenate([down, [1.0], up])
    result: Floats = weights / weights.sum()
    result.setflags(write=False)
    return result
