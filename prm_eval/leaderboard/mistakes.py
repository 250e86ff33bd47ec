"""The part of a submission's page that shows its mistakes: the candidate it chose beside a right one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from prm_eval.evaluation.measured import Shown
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.rows import Entry
from prm_eval.leaderboard.words import fixed, percent
from prm_eval.rewards.aggregate import as_probability
from prm_eval.texts.mathml import typeset
from prm_eval.texts.steps import split_steps

Texts = Mapping[tuple[int, int], Mapping[str, Any]]

# steps shown of one candidate
MOST_STEPS = 60
# characters shown of one candidate
MOST_TEXT = 8_000
TINTS = 7


def mistake_values(entry: Entry, yardstick: Yardstick, texts: Texts) -> list[dict[str, Any]]:
    """Return what the template of the page shows of each problem that was lost: both candidates, step by step."""
    found = []
    for each in entry.measured.mistakes:
        problem = yardstick.arrays.problems[each.row]
        found.append(
            {
                "id": problem.problem_id,
                "lost": fixed(100 * each.lost, 1),
                "subject": problem.subject or "",
                "statement": typeset(problem.statement[:MOST_TEXT]),
                "gold": typeset(f"${problem.gold}$") if problem.gold else "\u2013",
                "sides": [
                    _side(entry, yardstick, texts[each.row, slot], entry.measured.shown.get((each.row, slot)), right)
                    | {"share": percent(share, 0)}
                    for slot, share, right in zip((each.chosen, each.better), each.shares, (False, True), strict=True)
                ],
            }
        )
    return found


def _side(
    entry: Entry, yardstick: Yardstick, source: Mapping[str, Any], shown: Shown | None, right: bool
) -> dict[str, Any]:
    info = entry.submission.rewards.info
    stepwise = info.kind == "prm"
    splitter = (info.splitter if stepwise else None) or yardstick.arrays.info.splitter
    steps = split_steps(str(source["text"]), splitter, source["steps"])
    rewards: Sequence[float | None] = [None] * len(steps)
    if shown is not None and stepwise and len(shown.steps) == len(steps):
        rewards = shown.steps
    written, room = [], MOST_TEXT
    for step, reward in list(zip(steps, rewards, strict=True))[:MOST_STEPS]:
        if room <= 0:
            break
        tint, label = _tint(reward, entry)
        written.append({"text": typeset(step[:room]), "tint": tint, "reward": label})
        room -= len(step)
    left = len(steps) - len(written)
    cut = f"{left} more steps are not shown." if left else "The end of the last step is not shown." if room < 0 else ""
    return {"right": right, "steps": written, "reward": _reward_text(entry, shown), "cut": cut}


def _reward_text(entry: Entry, shown: Shown | None) -> str:
    if shown is None or not math.isfinite(shown.reward):
        return "no reward"
    info = entry.submission.rewards.info
    if info.score_type == "raw":
        return f"reward {shown.reward:.3g}"
    return f"reward {percent(shown.weight)} %" if shown.weight >= 0.001 else f"reward {shown.weight:.1e}"


def _tint(reward: float | None, entry: Entry) -> tuple[int | None, str]:
    """Return the colour of a step, from 0 (low) to 6 (high), and its reward in words."""
    if reward is None:
        return None, ""
    score_type = entry.submission.rewards.info.score_type
    if score_type == "raw":
        edges = entry.measured.rewards.edges
        share = (reward - edges[0]) / ((edges[-1] - edges[0]) or 1.0)
        label = f"{reward:.2g}"
    else:
        share = as_probability(reward, score_type)
        label = f"{percent(share, 0)} %"
    return min(TINTS - 1, max(0, int(share * TINTS))), label
