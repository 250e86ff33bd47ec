"""The rule for golds that grading cannot read: an import says it as evaluation does."""

from __future__ import annotations

from prm_eval.grading.deciding.equivalence import read
from prm_eval.grading.reading.tree import Words

# a gold of more words than this is a solution or a remark, not an answer
MOST_WORDS = 12


def why_unreadable(gold: str) -> str:
    """Return why grading cannot read a gold; an empty text for one that it reads."""
    form = read(gold)
    if form.normal is None:
        # a value beyond the limits of normal forms is read, and compared by other means
        return "" if form.too_large else form.error or "no normal form"
    words = len(gold.split())
    if isinstance(form.node, Words) and words > MOST_WORDS:
        return f"a text of {words} words, which only the same text equals"
    return ""
