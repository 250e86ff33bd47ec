"""The page of one submission."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.measured import Curve, Shown
from prm_eval.evaluation.summary import ORACLE
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.cells import ASKED, MARKS, accuracy_cell
from prm_eval.leaderboard.charts import (
    Stroke,
    baseline_stroke,
    draw_curves,
    limits,
    mini,
    mini_axis,
    reliability_diagram,
    reward_histogram,
)
from prm_eval.leaderboard.mathml import typeset
from prm_eval.leaderboard.pages import render
from prm_eval.leaderboard.rows import Entry
from prm_eval.leaderboard.table import TableRow
from prm_eval.leaderboard.words import fixed, grouped, percent
from prm_eval.pools.format import policy_name
from prm_eval.rewards.aggregate import sigmoid
from prm_eval.store.jsonl import file_sha256
from prm_eval.submissions import TIERS, RegisteredPool, Submission
from prm_eval.texts.steps import split_steps

Texts = Mapping[tuple[int, int], Mapping[str, Any]]

MOST_STEPS = 60  # shown of one candidate
MOST_TEXT = 8_000  # characters shown of one candidate
TINTS = 7


def accuracy_chart(entry: Entry, yardstick: Yardstick) -> Markup:
    """Return accuracy against n of one submission."""
    base = yardstick.baselines
    bon, wmaj = entry.measured.bon, entry.measured.wmaj
    strokes = [
        Stroke("best of n", "0", bon.values, bon.lows, bon.highs),
        Stroke("weighted maj.", "2", wmaj.values),
        baseline_stroke("majority", base["majority"].curve, band=True),
        baseline_stroke(ORACLE, base[ORACLE].curve),
        baseline_stroke("first", base["first"].curve),
    ]
    settings = yardstick.settings
    return draw_curves(settings.ns, strokes, f"Accuracy against n of {entry.name}", settings.headline_n)


def detail_page(pool: RegisteredPool, entry: Entry, row: TableRow, of: int, yardstick: Yardstick, texts: Texts) -> str:
    """Return the page of a submission.

    Args:
        pool: Its pool, as registered.
        entry: The submission with its measurements.
        row: The same as on the board.
        of: How many submissions the board has.
        yardstick: The pool with its baselines.
        texts: The candidates its mistakes name.
    """
    info, settings = yardstick.arrays.info, yardstick.settings
    measured, submission = entry.measured, entry.submission
    return render(
        "detail.html",
        org=submission.org,
        name=submission.model,
        kind_text={"prm": "A process reward model (PRM)", "orm": "An outcome reward model (ORM)"}[
            submission.rewards.info.kind
        ],
        aggregation=submission.rewards.aggregation,
        pool={
            "id": pool.pool_id,
            "title": pool.title,
            "m": info.m,
            "n_problems": info.n_problems,
            "policy": policy_name(info.policy),
        },
        row=row,
        mark=MARKS[submission.tier],
        suspicions=[each.text for each in entry.suspicions],
        of=of,
        n=settings.headline_n,
        ns=settings.ns,
        draws=f"{settings.draws:,}",
        auroc=f"{percent(measured.auroc[0])} %",
        auroc_problems=measured.auroc[1],
        **_curve_values(entry, yardstick),
        **_reward_values(entry),
        **_part_values(entry, yardstick),
        **_habits(entry),
        mistakes=_mistakes(entry, yardstick, texts),
        stepwise=submission.rewards.info.kind == "prm",
        **_belief(entry),
        provenance=_provenance(entry, pool, yardstick),
        recompute=_recompute(entry, yardstick),
    )


def undrawn_page(pool: RegisteredPool, entry: Entry, error: Exception) -> str:
    """Return what stands in the place of a page that an unforeseen error kept from being made."""
    return render(
        "undrawn.html",
        org=entry.submission.org,
        name=entry.submission.model,
        pool={"id": pool.pool_id, "title": pool.title},
        fault=type(error).__name__,
    )


def _curve_values(entry: Entry, yardstick: Yardstick) -> dict[str, Any]:
    base, measured, settings = yardstick.baselines, entry.measured, yardstick.settings
    named: list[tuple[str, Curve]] = [("best of n", measured.bon), ("weighted majority", measured.wmaj)]
    named += [(BASELINES[name].short, base[name].curve) for name in ("majority", ORACLE, "first")]
    columns = range(len(settings.ns))
    table = [{"name": label, "cells": [accuracy_cell(curve, column) for column in columns]} for label, curve in named]
    at = settings.column
    tried = measured.aggregations
    axis = limits([value for curve in tried.values() for value in (curve.lows[at], curve.highs[at])])
    marks = [(base["majority"].curve.values[at], "mj"), (base[ORACLE].curve.values[at], "or")]
    return {
        "curve_chart": accuracy_chart(entry, yardstick),
        "curve_table": table,
        "noisy": any(curve.mc_se[column] > 0 for _, curve in named for column in columns),
        "axis": mini_axis(axis),
        "aggregation_chart": [
            {
                "name": name,
                "declared": name == entry.submission.rewards.aggregation,
                "chart": mini(curve.values[at], curve.lows[at], curve.highs[at], axis, marks),
                "cells": [accuracy_cell(curve, column) for column in columns],
            }
            for name, curve in tried.items()
        ]
        if len(tried) > 1
        else [],
    }


def _reward_values(entry: Entry) -> dict[str, Any]:
    measured = entry.measured
    found = measured.reliability
    raw = entry.submission.rewards.info.score_type == "raw"
    label = "reward (the outermost bins hold what lies beyond)" if raw else "reward as a probability"
    return {
        "histogram": reward_histogram(measured.rewards, label, "Rewards of correct and incorrect candidates"),
        "n_correct": grouped(sum(measured.rewards.correct)),
        "n_incorrect": grouped(sum(measured.rewards.incorrect)),
        "reliability": None
        if found is None
        else reliability_diagram(found, "Observed against predicted share correct"),
        "brier": "" if found is None else fixed(found.brier, 3) if math.isfinite(found.brier) else "\u2013",
        "ece": "" if found is None else percent(found.ece),
    }


PARTS = {
    "subject": ("By subject", "Subject"),
    "level": ("By level", "Level"),
    "difficulty": ("By difficulty: fifths by how often the policy is right", "Fifth"),
}


def _part_values(entry: Entry, yardstick: Yardstick) -> dict[str, Any]:
    base = yardstick.baselines
    parts = []
    for by, (title, head) in PARTS.items():
        found = [
            (each, base["majority"].groups[place], base[ORACLE].groups[place])
            for place, each in enumerate(entry.measured.groups)
            if each.by == by
        ]
        if not found:
            continue
        axis = limits(
            [value for three in found for value in (three[0].low, three[0].high, three[1].value, three[2].value)]
        )
        names = {"1": "1 (easiest)", str(len(found)): f"{len(found)} (hardest)"} if by == "difficulty" else {}
        rows = [
            {
                "label": names.get(each.label, each.label),
                "count": each.n_problems,
                "chart": mini(each.value, each.low, each.high, axis, [(majority.value, "mj"), (oracle.value, "or")]),
                "cell": accuracy_cell(Curve((each.value,), (each.low,), (each.high,), (0.0,)), 0),
                "majority": percent(majority.value),
                "oracle": percent(oracle.value),
            }
            for each, majority, oracle in found
        ]
        parts.append({"title": title, "head": head, "axis": mini_axis(axis), "rows": rows})
    easiest, majority = entry.measured.easiest, base["majority"].easiest
    ns = yardstick.settings.ns
    change = easiest.values[-1] - max(easiest.values)
    peak = ns[easiest.values.index(max(easiest.values))]
    text = (
        f"It is best at n = {peak} and loses {fixed(-100 * change, 1)} points by n = {ns[-1]}: "
        "with more candidates it finds more wrong ones to like."
        if change < -0.005
        else "It does not get worse as n grows."
    )
    strokes = [
        Stroke("best of n", "0", easiest.values, easiest.lows, easiest.highs),
        baseline_stroke("majority", majority),
    ]
    return {
        "parts": parts,
        "easiest_chart": draw_curves(
            ns, strokes, "Accuracy against n on the easiest fifth", yardstick.settings.headline_n
        ),
        "easiest_text": text,
    }


def _habits(entry: Entry) -> dict[str, Any]:
    measured = entry.measured
    correlation, problems = measured.length_correlation
    if math.isfinite(correlation) and math.isfinite(measured.chosen_length):
        longer = measured.chosen_length >= 1
        text = (
            f"What it chooses is {fixed(abs(100 * (measured.chosen_length - 1)), 1)} % "
            f"{'longer' if longer else 'shorter'} "
            f"than the mean candidate of the problem; rank correlation of reward and length "
            f"{fixed(correlation, 2)} (mean over {problems} problems)."
        )
    else:
        text = "Not defined: there is nothing to choose between."
    last = measured.last_step
    last_text = None
    if last is not None and last.candidates:
        last_text = (
            f"The last step is the worst one in {percent(last.correct, 0)} % of the correct and "
            f"{percent(last.incorrect, 0)} % of the "
            f"incorrect candidates; a step picked at random would be the last in {percent(last.by_chance, 0)} %. Far "
            "above that, "
            "a PRM behaves like an ORM."
        )
    refused = sum(measured.refusals.values())
    return {
        "length_text": text,
        "last_text": last_text,
        "refusals": [(reason, grouped(count)) for reason, count in sorted(measured.refusals.items())],
        "refused_text": f"{grouped(refused)} of {grouped(measured.candidates)} candidates got no reward and lose every "
        "comparison:",
    }


def _mistakes(entry: Entry, yardstick: Yardstick, texts: Texts) -> list[dict[str, Any]]:
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
    """Return how a step is coloured, from 0 (low) to 6 (high), and its reward in words."""
    if reward is None:
        return None, ""
    score_type = entry.submission.rewards.info.score_type
    if score_type == "raw":
        edges = entry.measured.rewards.edges
        share = (reward - edges[0]) / ((edges[-1] - edges[0]) or 1.0)
        label = f"{reward:.2g}"
    else:
        share = sigmoid(reward) if score_type == "logodds" else reward
        label = f"{percent(share, 0)} %"
    return min(TINTS - 1, max(0, int(share * TINTS))), label


def _belief(entry: Entry) -> dict[str, Any]:
    submission = entry.submission
    disclosure = submission.disclosure
    return {
        "tier_text": TIERS[submission.tier],
        "disclosure": disclosure,
        "trained": [(*ASKED[name], getattr(disclosure.trained_on, name)) for name in ASKED] if disclosure else [],
        "verification": _verification(submission.folder, submission.tier),
    }


def _verification(folder: Path, tier: str) -> str:
    path = folder / "verification.json"
    if not path.is_file():
        return ""
    from prm_eval.store.safe_json import read_json

    found = read_json(path)
    compared = grouped(found["compared"])
    if tier == "recomputed":
        return (
            f"Not in agreement: {found['beyond']} of {compared} candidates differ, or the rewards were changed since."
        )
    text = f"{compared} of {grouped(found['of'])} candidates by {found['verified_by']} on {found['device_name']}: {found['beyond']} differ"
    if found["max_difference"] is not None:
        limit = f"{found['tolerance']:g} is called equal, by the dtypes"
        text += f"; the largest difference was {found['max_difference']:.2g} ({found['scale']}; {limit})"
    if found["scope"] != "all":
        chance = percent(found["detection"], 0)
        text += (
            f". Had one candidate in a hundred been edited, this would have been noticed with probability {chance} %"
        )
    return text + "."


def _provenance(entry: Entry, pool: RegisteredPool, yardstick: Yardstick) -> list[tuple[str, str]]:
    submission = entry.submission
    info = submission.rewards.info
    found = [
        ("revision", submission.revision),
        ("pool", pool.content_hash),
        ("grades.parquet (SHA-256)", file_sha256(yardstick.arrays.pool.grades_path("own"))),
        ("rewards.parquet (SHA-256)", file_sha256(submission.rewards.path)),
        ("score type", info.score_type),
        ("splitter", info.splitter or "the pool\u2019s"),
    ]
    for prefix, fields in (("model", info.model), ("run", info.run)):
        found += [
            (f"{prefix}: {key}", _spelt(fields[key])) for key in sorted(fields) if fields[key] not in (None, {}, [])
        ]
    return found


def _spelt(value: Any) -> str:
    if isinstance(value, str):
        return value[:2_000]
    if isinstance(value, dict) and all(isinstance(each, (str, int, float)) for each in value.values()):
        return ", ".join(f"{key} {each}" for key, each in sorted(value.items()))[:2_000]
    return json.dumps(value, sort_keys=True, ensure_ascii=False)[:2_000]


def _recompute(entry: Entry, yardstick: Yardstick) -> str:
    submission = entry.submission
    folder = (
        Path("results")
        / "submissions"
        / f"{submission.org}__{submission.model}"
        / submission.revision
        / submission.pool_id
    )
    where, pool = shlex.quote(folder.as_posix()), shlex.quote(f"results/pools/{submission.pool_id}")
    ns = ",".join(map(str, yardstick.settings.ns))
    return (
        f"prm-eval evaluate {pool} {where} --n {ns}\n"
        f"prm-eval grade {pool} -o grades    # judges the answers anew\n"
        f"prm-eval check {where}\n"
        f"prm-eval verify {where} --reward-model {_reward_model(submission)} --sample 256"
        "    # runs the model; writes verification.json anew, so do it in a copy"
    )


def _reward_model(submission: Submission) -> str:
    """Return what ``--reward-model`` takes for a submission: a rule by name, a commit of the hub, or a folder that the reader has."""
    if submission.revision.startswith("rule-"):
        return submission.model
    if submission.revision.startswith("sha256-"):
        return "FOLDER"
    return f"{submission.org}/{submission.model} --revision {submission.revision}"
