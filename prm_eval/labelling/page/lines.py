"""The report on a campaign's labellers, as lines for the terminal and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from prm_eval.labelling.page.agreement import GOOD_ENOUGH, Alpha, LabellerReport, Report, Share


def report_lines(report: Report) -> Iterator[str]:
    """Yield the lines of the terminal."""
    yield f"campaign     {report.name}: {report.labelled:,} of {report.queued:,} candidates labelled"
    if report.several:
        conflicts = report.several - report.alike
        yield f"twice        {report.several:,} candidates by several people: {report.alike:,} alike, {conflicts:,} not"
        yield f"decided      {report.decided:,} of {conflicts:,} conflicts"
        if report.same_first is not None:
            same = report.same_first
            yield f"first error  the same in {same.right:,} of {same.of:,}: {same.value:.1%}"
        yield f"alpha        {_alpha(report.steps)}  marks of {report.steps.units:,} steps (ordinal)"
        yield f"             {_alpha(report.first)}  first wrong step of {report.first.units:,} solutions (nominal)"
        yield f"             Krippendorff's; limits over {report.steps.problems:,} problems"
    else:
        yield "twice        none: nothing says how well people agree (--second-opinion)"
    for each in report.people:
        yield from _labeller_lines(each)


def _labeller_lines(each: LabellerReport) -> Iterator[str]:
    ends = ", ".join(f"{name} {n:,}" for name, n in sorted(each.finishes.items()))
    left = f"; {each.unfinished:,} unfinished" if each.unfinished else ""
    yield ""
    yield f"{each.who}: {each.done:,} candidates{f' ({ends})' if ends else ''}{left}"
    for name, share in (("screening", each.screening), ("quality", each.quality)):
        if share is not None:
            low = f"  below {GOOD_ENOUGH:.0%}" if share.value < GOOD_ENOUGH else ""
            yield f"  {name:<11}first error right in {_share(share)}{low}"
    if each.steps is not None:
        yield f"  {'steps':<11}{each.steps.right:,} of {each.steps.of:,} known steps ({each.steps.value:.1%})"
    if each.seconds:
        median, mean = statistics.median(each.seconds), statistics.fmean(each.seconds)
        minutes = sum(each.seconds) / 60
        yield f"  {'time':<11}median {median:.0f} s, mean {mean:.0f} s a solution, {minutes:.0f} min in all"


def _share(share: Share) -> str:
    low, high = share.limits
    return f"{share.right:,} of {share.of:,}: {share.value:.1%} [{low:.1%}, {high:.1%}]"


def _alpha(alpha: Alpha) -> str:
    if alpha.value is None:
        return "undefined (all marks are the same)"
    if alpha.low is None or alpha.high is None:
        return f"{alpha.value:.3f} [no limits: one problem]"
    return f"{alpha.value:.3f} [{alpha.low:.3f}, {alpha.high:.3f}]"


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        "schema": "prm_eval.label_agreement/1",
        "campaign": report.name,
        "labelled": report.labelled,
        "queued": report.queued,
        "labelled_by_several": report.several,
        "alike": report.alike,
        "decided": report.decided,
        "same_first_error": None if report.same_first is None else vars(report.same_first),
        "alpha_steps": vars(report.steps),
        "alpha_first_error": vars(report.first),
        "labellers": [
            {
                "who": each.who,
                "done": each.done,
                "unfinished": each.unfinished,
                "finishes": each.finishes,
                "screening": _share_json(each.screening),
                "quality_control": _share_json(each.quality),
                "known_steps": _share_json(each.steps),
                "seconds": list(each.seconds),
            }
            for each in report.people
        ],
    }


def _share_json(share: Share | None) -> dict[str, Any] | None:
    if share is None:
        return None
    low, high = share.limits
    return {"right": share.right, "of": share.of, "value": share.value, "low": low, "high": high}
