"""Worked examples: problems where the majority is wrong and the PRM's choice is right.

Steps are coloured by their reward.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from prm_eval.evaluation.curves import GradedSlots, graded_slots
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, Problem
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.texts.steps import split_steps

WANTED = 3


@dataclass(frozen=True)
class Judged:
    """A candidate and how it was judged.

    Attributes:
        role: Who chose it, in words.
        steps: The text of each step and its probability of being right, by the PRM.
        correct: Whether its answer is correct.
        votes: The number of candidates with the same answer.
    """

    role: str
    steps: tuple[tuple[str, float], ...]
    correct: bool
    votes: int


@dataclass(frozen=True)
class Example:
    """A problem with the majority's candidate and the PRM's choice."""

    problem: Problem
    n: int
    majority: Judged
    chosen: Judged


def find_examples(pool: Pool, prm: RewardFile, orm: RewardFile, wanted: int = WANTED) -> list[Example]:
    """Return problems where a strict majority is wrong and the PRM's best of all M candidates is right.

    The largest wrong majority comes first, and each example is of another subject while there are enough. The same pool
    always gives the same examples.

    Raises:
        DataError: Grades or rewards are not of this pool.
    """
    found: list[tuple[int, GradedSlots, int, int]] = []
    for graded in graded_slots(pool, "own", [NamedRewards("PRM", prm), NamedRewards("ORM", orm)]):
        picked = _majority_against_prm(graded, "PRM")
        if picked is not None:
            found.append((int((graded.classes == graded.classes[picked[0]]).sum()), graded, *picked))
    found.sort(key=lambda each: (-each[0], each[1].problem.problem_id))
    chosen = list({each[1].problem.subject: each for each in reversed(found)}.values())
    chosen.sort(key=lambda each: (-each[0], each[1].problem.problem_id))
    chosen += [each for each in found if not any(each is other for other in chosen)]
    texts = _candidates(pool, prm, {each[1].problem.problem_id for each in chosen[:wanted]})
    splitter = prm.info.splitter or pool.info.splitter
    return [_example(graded, wrong, right, texts, splitter) for _, graded, wrong, right in chosen[:wanted]]


def _majority_against_prm(graded: GradedSlots, name: str) -> tuple[int, int] | None:
    """Return a slot with the wrong majority answer and the slot that the PRM picks; None unless that pick is right."""
    rewards = graded.rewards[name].rewards
    eligible = np.where((graded.classes >= 0) & ~np.isnan(rewards), rewards, -math.inf)
    best = int(eligible.argmax())
    classes, counts = np.unique(graded.classes[graded.classes >= 0], return_counts=True)
    if len(counts) < 2 or not graded.correct[best] or (counts == counts.max()).sum() > 1:
        return None
    wrong = graded.classes == classes[counts.argmax()]
    shown = int(np.where(wrong, eligible, -math.inf).argmax())
    # a candidate that the PRM refused has no steps to show
    if graded.correct[wrong].any() or not wrong[shown] or eligible[shown] == -math.inf:
        return None
    return shown, best


def _candidates(
    pool: Pool, prm: RewardFile, wanted: set[str]
) -> dict[tuple[str, int], tuple[Candidate, tuple[float, ...]]]:
    """Return every candidate of the wanted problems with its step rewards, by problem and slot."""
    rewards: Iterator[tuple[str, str, tuple[float, ...]]] = (
        (problem_id, candidate_id, each.values) for problem_id, candidate_id, each in prm.rows()
    )
    values = {(problem_id, name): steps for problem_id, name, steps in rewards if problem_id in wanted}
    return {
        (problem.problem_id, each.slot): (each, values[problem.problem_id, each.candidate_id])
        for problem, candidates in pool
        if problem.problem_id in wanted
        for each in candidates
    }


def _example(
    graded: GradedSlots,
    wrong: int,
    right: int,
    texts: dict[tuple[str, int], tuple[Candidate, tuple[float, ...]]],
    splitter: str,
) -> Example:
    def judged(role: str, slot: int) -> Judged:
        candidate, logodds = texts[graded.problem.problem_id, slot]
        steps = split_steps(candidate.text, splitter, candidate.steps)
        chances = [1 / (1 + math.exp(-min(max(each, -700.0), 700.0))) for each in logodds]
        votes = int((graded.classes == graded.classes[slot]).sum())
        return Judged(role, tuple(zip(steps, chances, strict=True)), bool(graded.correct[slot]), votes)

    return Example(
        graded.problem,
        len(graded.classes),
        judged("majority's answer, its best candidate by the PRM", wrong),
        judged("best of n by the PRM", right),
    )


def render_examples(examples: Sequence[Example]) -> str:
    """Return the examples as a section of a page; every text is escaped, its formulas typeset."""
    import jinja2

    from prm_eval.texts.mathml import typeset

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["typeset"] = typeset
    # a step without dollar signs is a formula as a whole
    environment.filters["formula"] = lambda text: typeset(text if "$" in text else f"${text}$")
    section: str = environment.from_string(_SECTION).render(examples=examples)
    return section


_SECTION = """<h2>Where the majority is wrong and the PRM is right</h2>
{% if not examples %}
<p>No such problem in this run: the majority was right, or the PRM's choice was not.</p>
{% else %}
<p class="quiet">Each step's colour and number are the PRM's probability that it is right, given the steps before.</p>
{% endif %}
<style>
.pair { display: flex; flex-wrap: wrap; gap: 1.5rem } .pair > div { flex: 1 1 20rem }
.steps { list-style: none; padding: 0 }
.steps li { display: flex; justify-content: space-between; gap: 1rem; padding: .15rem .5rem; \
margin: .15rem 0; border-left: .4rem solid;
  overflow-wrap: anywhere; color: #1a1a1a }
.steps span { color: #444; font-variant-numeric: tabular-nums }
</style>
{% for each in examples %}
<h3>{{ each.problem.subject }}, level {{ each.problem.level }}</h3>
<p>{{ each.problem.statement|typeset }} <span class="quiet">(answer: {{ each.problem.gold|formula }})</span></p>
<div class="pair">
{% for one in (each.majority, each.chosen) %}
<div><strong>{{ "✓" if one.correct else "✗" }} {{ one.role }}</strong>
<div class="quiet">{{ one.votes }} of {{ each.n }} candidates give this answer</div>
<ol class="steps">
{% for text, chance in one.steps %}
{% set hue = (120 * chance)|round|int %}
<li style="border-color: hsl({{ hue }} 70% 42%); background: hsl({{ hue }} 75% 94%)">
<bdi>{{ text|formula }}</bdi><span>{{ "%.2f"|format(chance) }}</span></li>
{% endfor %}
</ol></div>
{% endfor %}
</div>
{% endfor %}
"""
