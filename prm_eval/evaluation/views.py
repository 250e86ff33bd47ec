"""Candidates to look at, as lines for the terminal and as one self-contained page that needs no script.

The texts are strangers': characters that act or hide are made visible in both, and the page escapes the rest.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from prm_eval.evaluation.ranking import letter
from prm_eval.evaluation.viewing import CandidateView, GivenRewards, Listing, ProblemView, Span, Step, View
from prm_eval.pools.format import policy_name
from prm_eval.records import Judged, Judgement
from prm_eval.store.visible import one_line, visible
from prm_eval.texts.names import short_name

# what stands around the final answer on a terminal
MARKS = ("\u27e6", "\u27e7")
# characters of a candidate on a terminal and on a page, and of a judgement on a terminal
MOST_TEXT = 20_000
MOST_ON_PAGE = 200_000
MOST_JUDGEMENT = 2_000
TINTS = 7


def view_lines(view: View) -> Iterator[str]:
    """Yield the lines of the terminal."""
    for place, problem in enumerate(view.problems):
        if place:
            yield ""
        yield from _problem_lines(problem)
        for candidate in problem.candidates:
            yield ""
            yield from _candidate_lines(candidate, view)
    if not view.problems or not any(each.candidates for each in view.problems):
        yield "no candidate fits"
    if view.left:
        yield ""
        yield f"{view.left:,} more fit: --most N shows more, --problem ID all of a problem"
    if view.warnings:
        yield ""
        yield from (f"WARNING    {one_line(each, 1_000)}" for each in view.warnings)


def _problem_lines(view: ProblemView) -> Iterator[str]:
    problem = view.problem
    about = [problem.subject or "", "" if problem.level is None else f"level {problem.level}"]
    said = ", ".join(one_line(each, 80) for each in about if each)
    yield f"problem    {one_line(problem.problem_id, 200)}" + (f"  ({said})" if said else "")
    yield f"gold       {'none' if problem.gold is None else one_line(problem.gold, 400)}"
    yield from _indented(visible(problem.statement[:MOST_TEXT]), 11)


def _candidate_lines(view: CandidateView, of: View) -> Iterator[str]:
    yield f"slot {view.slot}  {' '.join(_facts(view, of.source))}"
    yield f"  answer   {_answer(view)}"
    for index, each in enumerate(view.rewards):
        yield f"  {letter(index)}  {one_line(each.name, 80)}: {reward_text(each)}"
    room = MOST_TEXT
    for listing in view.listings:
        yield from _listing_lines(listing, view, room)
    if marked_elsewhere(view):
        yield "  text     (the answer is in none of the steps)"
        start, end = _span(view)
        begin = max(0, start - 200)
        yield from _indented(_marked(view.text[begin : end + 200], (start - begin, end - begin)), 9)
    for index, each in enumerate(view.rewards):
        if each.judged is not None:
            yield from _judged_lines(letter(index), each.judged, each)


def _facts(view: CandidateView, source: str | None) -> list[str]:
    facts = [view.verdict or "not graded"]
    if source not in (None, "own"):
        facts.append(f"({one_line(str(source), 60)})")
    facts.append(f" {len(view.text):,} characters")
    if view.n_tokens is not None:
        facts.append(f"{view.n_tokens:,} tokens")
    if view.finish_reason:
        facts.append(f"ended by {one_line(view.finish_reason, 40)}")
    return [*facts, f" {view.candidate_id}"]


def _answer(view: CandidateView) -> str:
    """Return the answer with its rule, and where our extraction finds it, or what it finds instead."""
    found = view.found
    if view.answer is None and found is None:
        return "none found"
    said = "none" if view.answer is None else one_line(view.answer, 400)
    line = f"{said}   (rule {one_line(view.rule, 60)})"
    if found is None:
        return f"{line}; our extraction finds none"
    place = f"characters {found.start:,} to {found.end:,}"
    if view.answer == found.answer:
        return f"{line}, {place}" + ("; another final answer is stated too" if found.conflict else "")
    return f"{line}; our extraction finds {one_line(found.answer, 200)} ({found.rule}, {place})"


def reward_text(each: GivenRewards) -> str:
    """Return a candidate's reward in words, or why it has none."""
    how = each.kind.upper() + (f", {each.aggregation}" if each.kind == "prm" else "")
    if each.reward is None:
        return f"refused: {one_line(each.refusal or '', 300)}  ({how})"
    if each.judged is not None and each.judged.spread is not None:
        how += f", spread {each.judged.spread:.3f} over {len(each.judged.votes)} votes"
    return f"{number(each.reward)}  ({how})"


def number(value: float) -> str:
    """Return a reward of a step or a candidate as text."""
    return f"{value:.4f}" if 0 <= value <= 1 else f"{value:.4g}"


def _listing_lines(listing: Listing, view: CandidateView, room: int) -> Iterator[str]:
    heads = "".join(f"  {letter(model):<8}" for model in listing.models)
    yield f"  {len(listing.steps)} step{'' if len(listing.steps) == 1 else 's'} by {listing.splitter}"
    if heads:
        yield f"  {'':>4}{heads}".rstrip()
    for count, step in enumerate(listing.steps, 1):
        if room <= 0:
            yield f"       {len(listing.steps) - count + 1:,} more steps: --html FILE shows more"
            return
        cells = "".join(
            f"  {'' if reward is None else number(reward) + ('*' if weakest else ''):<8}"
            for reward, weakest in zip(step.rewards, step.weakest, strict=True)
        )
        lines = _marked(step.text[:room], step.marked).split("\n")
        left = f"  {count:>4}{cells}  "
        yield left + lines[0]
        yield from (" " * len(left) + line for line in lines[1:])
        room -= len(step.text)
    if any(any(step.weakest) for step in listing.steps):
        yield "  * the weakest step"


def _judged_lines(sign: str, judged: Judged, each: GivenRewards) -> Iterator[str]:
    for place, vote in enumerate(judged.votes, 1):
        yield f"  judgement {place} of {len(judged.votes)} by {sign}, {vote_text(vote, each)}"
        yield from _indented(visible(vote.text[:MOST_JUDGEMENT]) or "(nothing)", 4)
        if len(vote.text) > MOST_JUDGEMENT:
            yield f"    ... {len(vote.text) - MOST_JUDGEMENT:,} characters more"


def vote_text(vote: Judgement, each: GivenRewards) -> str:
    """Return what was read of a judgement, in words."""
    if vote.read is None:
        said = "nothing could be read"
    elif each.kind == "prm":
        said = "no wrong step" if vote.read == -1 else f"step {int(vote.read) + 1} is the first wrong one"
    else:
        said = f"log-odds of yes {vote.read:.3f}"
    return f"seed {vote.seed}: {said}" + (", cut off" if vote.cut else "")


def marked_elsewhere(view: CandidateView) -> bool:
    """Say whether the final answer stands in none of the steps that are listed."""
    return view.found is not None and not any(step.marked for listing in view.listings for step in listing.steps)


def _span(view: CandidateView) -> Span:
    return (0, 0) if view.found is None else (view.found.start, view.found.end)


def pieces(text: str, marked: Span | None) -> list[tuple[str, bool]]:
    """Return the visible text before, in and behind a mark, each with whether it is marked."""
    if marked is None:
        return [(visible(text), False)]
    start, end = marked
    parts = [(text[:start], False), (text[start:end], True), (text[end:], False)]
    return [(visible(part), is_marked) for part, is_marked in parts if part]


def _marked(text: str, marked: Span | None) -> str:
    return "".join(f"{MARKS[0]}{part}{MARKS[1]}" if is_marked else part for part, is_marked in pieces(text, marked))


def _indented(text: str, by: int) -> Iterator[str]:
    return (" " * by + line for line in text.split("\n"))


def view_page(view: View, title: str) -> str:
    """Return one self-contained page, which fetches nothing and runs nothing."""
    import jinja2
    from markupsafe import Markup

    folder = files("prm_eval.evaluation") / "templates"
    style = (folder / "candidates.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "candidates.html").read_text(encoding="utf-8"))
    page: str = template.render(
        title=visible(title, lines=False),
        style=Markup(style),  # noqa: S704  (ours)
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        about=_about(view),
        warnings=[visible(each, lines=False) for each in view.warnings],
        left=view.left,
        problems=[_problem_values(each, view) for each in view.problems],
    )
    return page


def _about(view: View) -> str:
    info = view.pool.info
    name = one_line(str(info.problem_set.get("name") or "an unnamed set"), 100)
    policy = one_line(short_name(policy_name(info.policy)), 100)
    grades = "no grades" if view.source is None else f"grades: {one_line(view.source, 60)}"
    count = f"{info.n_problems:,} problem{'' if info.n_problems == 1 else 's'}"
    return f"{count} of {name} × {info.m:,} slots by {policy} · {grades} · pool {info.short_hash}"


def _problem_values(view: ProblemView, of: View) -> dict[str, Any]:
    problem = view.problem
    return {
        "id": visible(problem.problem_id, lines=False),
        "subject": visible(problem.subject or "", lines=False),
        "level": problem.level,
        "gold": None if problem.gold is None else visible(problem.gold),
        "statement": visible(problem.statement[:MOST_ON_PAGE]),
        "candidates": [_candidate_values(each, of) for each in view.candidates],
    }


def _candidate_values(view: CandidateView, of: View) -> dict[str, Any]:
    elsewhere = marked_elsewhere(view)
    return {
        "slot": view.slot,
        "verdict": view.verdict or "not graded",
        "facts": " · ".join(each.strip() for each in _facts(view, of.source)[1:]),
        "answer": _answer(view),
        "rewards": [
            {"sign": letter(index), "name": visible(each.name, lines=False), "text": reward_text(each)}
            for index, each in enumerate(view.rewards)
        ],
        "listings": [_listing_values(each, view) for each in view.listings],
        "text": pieces(view.text[:MOST_ON_PAGE], _span(view)) if elsewhere else [],
        "judgements": [
            {"head": f"{letter(index)}, {vote_text(vote, each)}", "text": visible(vote.text)}
            for index, each in enumerate(view.rewards)
            for vote in (each.judged.votes if each.judged is not None else ())
        ],
    }


def _listing_values(listing: Listing, view: CandidateView) -> dict[str, Any]:
    steps, room = [], MOST_ON_PAGE
    for step in listing.steps:
        if room <= 0:
            break
        steps.append({"pieces": pieces(step.text[:room], step.marked), "cells": _cells(step, listing, view)})
        room -= len(step.text)
    return {
        "splitter": listing.splitter,
        "signs": [letter(model) for model in listing.models],
        "steps": steps,
        "left": len(listing.steps) - len(steps),
        "starred": any(any(step.weakest) for step in listing.steps),
    }


def _cells(step: Step, listing: Listing, view: CandidateView) -> list[dict[str, Any]]:
    cells = []
    for model, reward, weakest in zip(listing.models, step.rewards, step.weakest, strict=True):
        probability = reward is not None and view.rewards[model].score_type != "raw" and 0 <= reward <= 1
        cells.append(
            {
                "text": "" if reward is None else number(reward),
                "weakest": weakest,
                "tint": min(TINTS - 1, int(reward * TINTS)) if probability and reward is not None else None,
            }
        )
    return cells
