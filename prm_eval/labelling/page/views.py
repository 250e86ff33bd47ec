"""What the pages show: values for templates, which escape everything; strangers' texts are made visible first."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate
from typing import Any

from markupsafe import Markup, escape

from prm_eval.labelling.page.campaign import Item, Person
from prm_eval.labelling.page.choosing import Opinions, in_words
from prm_eval.labelling.page.ledger import Ledger
from prm_eval.labelling.page.marking import outcome_of, spelt_marks
from prm_eval.store.visible import one_line, visible
from prm_eval.texts.mathml import typeset

MOST_TEXT = 20_000
"""Characters of a step, or of a statement, that are shown."""
MOST_TYPESET = 30_000
"""Characters of a page whose formulas are typeset; in what follows they are shown as they were written."""
ASSETS = {"page.css": "text/css", "page.js": "text/javascript"}
"""The only files that are served."""
WORDS = {1: "good", 0: "neutral", -1: "bad"}


def shown_text(text: str, *, formulas: bool = True) -> Markup:
    """Return a stranger's text as HTML: what acts or hides made visible, formulas typeset, the rest escaped."""
    safe = visible(text[:MOST_TEXT])
    made = typeset(safe) if formulas else escape(safe)
    if len(text) > MOST_TEXT:
        cut = Markup('<span class="soft"> … {:,} characters more are not shown</span>')
        return made + cut.format(len(text) - MOST_TEXT)
    return made


def csrf_of(token: str) -> str:
    """Return what every request that changes something has to bring: only our own pages know it."""
    return hmac.new(token.encode(), b"prm_eval label page", hashlib.sha256).hexdigest()


def state_of(ledger: Ledger, person: Person, item: int) -> dict[str, Any]:
    """Return what a page knows of one item: what was marked, and how far the labeller is."""
    marking = ledger.markings[person.who, item]
    outcome = outcome_of(marking, all_steps=ledger.campaign.rules.all_steps)
    progress = ledger.progress(person.who) if person.role == "labeller" else None
    return {
        "version": marking.version,
        "marks": list(marking.marks),
        "flags": list(marking.flags),
        "verdict": marking.verdict,
        "submitted": marking.submitted,
        "whole": outcome.finish is not None,
        "changes": marking.changes,
        "seconds": round(marking.seconds),
        "done": progress.done if progress else 0,
        "left": progress.left if progress else 0,
    }


def item_page(ledger: Ledger, person: Person, item: Item, number: int, csrf: str, opinions: Opinions | None) -> str:
    """Return the page of one item.

    Args:
        ledger: The campaign.
        person: Who looks at it.
        item: The item.
        number: What the page calls it: a labeller's count, so that nothing tells items with known labels from others.
        csrf: What a change must bring.
        opinions: What others said, for an adjudicator.
    """
    rules = ledger.campaign.rules
    state = state_of(ledger, person, item.item)
    said = opinions.people if opinions is not None else ()
    ends = list(accumulate(map(len, item.steps), initial=len(item.statement)))
    steps = [
        {
            "text": shown_text(step, formulas=ends[i + 1] <= MOST_TYPESET),
            "mark": state["marks"][i],
            "flagged": i in state["flags"],
            "said": [
                (one_line(each.marking.who, 30), each.outcome.ratings[i])
                for each in said
                if each.outcome.ratings[i] is not None
            ],
        }
        for i, step in enumerate(item.steps)
    ]
    others = [
        {"who": one_line(each.marking.who, 60), "words": in_words(each.outcome), "value": spelt_marks(each.outcome)}
        for each in said
    ]
    return render(
        "item.html",
        **frame(ledger, person, state),
        number=number,
        statement=shown_text(item.statement),
        steps=steps,
        words=WORDS,
        others=others,
        answer=_answer(ledger, item) if rules.show_answer else None,
        state=json.dumps(state),
        shown=state,
        csrf=csrf,
        all_steps=rules.all_steps,
        first=number == 1,
        me=hashlib.sha256(f"{ledger.campaign.id} {person.who}".encode()).hexdigest()[:16],
    )


def _answer(ledger: Ledger, item: Item) -> dict[str, Any] | None:
    """Return the gold answer and the candidate's grade, where they are known."""
    if item.problem is None or item.candidate is None:
        return None
    verdict, answer = _grades(ledger).get((item.problem_id, item.candidate_id), (None, None))
    gold = item.problem.gold
    if gold is None and verdict is None:
        return None
    return {
        "gold": None if gold is None else shown_text(gold if "$" in gold else f"${gold}$"),
        "grade": (verdict or "").replace("_", " "),
        "answer": "" if answer is None else one_line(answer, 200),
    }


@lru_cache(maxsize=2)
def _grades(ledger: Ledger) -> dict[tuple[str, str], tuple[str, str | None]]:
    return ledger.campaign.grades()


def frame(ledger: Ledger, person: Person | None, state: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the values of what stands around every page."""
    return {
        "campaign": one_line(ledger.campaign.name, 60),
        "who": "" if person is None else one_line(person.who, 60),
        "role": "" if person is None else person.role,
        "progress": state,
    }


def list_page(ledger: Ledger, person: Person, opinions: Sequence[Opinions]) -> str:
    """Return the page of conflicts, open ones first."""
    rows = [
        {
            "item": each.item,
            "said": [(one_line(one.marking.who, 40), in_words(one.outcome)) for one in each.people],
            "decided": None if each.decided is None else in_words(each.decided.outcome),
            "flagged": sum(bool(one.marking.flags) for one in each.people),
        }
        for each in sorted(opinions, key=lambda each: (each.decided is not None, each.item))
        if each.conflict
    ]
    return render(
        "conflicts.html",
        **frame(ledger, person),
        rows=rows,
        open=sum(row["decided"] is None for row in rows),
        several=sum(len(each.people) > 1 for each in opinions),
    )


def message_page(ledger: Ledger, title: str, text: str, person: Person | None = None, onward: bool = False) -> str:
    """Return a page that says one thing; ``onward`` goes on to the start at once."""
    return render("message.html", **frame(ledger, person), title=title, text=text, onward=onward)


def render(template: str, **values: Any) -> str:
    """Return a page; everything that is not :class:`Markup` is escaped."""
    page: str = _environment().get_template(template).render(**values)
    return page


@lru_cache(maxsize=1)
def _environment() -> Any:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=16)
def asset(name: str) -> str:
    """Return a template, the style or the script."""
    return (files("prm_eval.labelling.page") / "templates" / name).read_text(encoding="utf-8")
