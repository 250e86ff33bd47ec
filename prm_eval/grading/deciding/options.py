"""Grading options: named conventions on which fair markers differ, and presets after other graders.

The default is strict.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from prm_eval.errors import PrmEvalError


@dataclass(frozen=True, slots=True)
class GradingOptions:
    """The options of a grader: what it accepts beyond exact equality, and what it refuses although it is equal.

    Attributes:
        rounded_decimals: 0, or the least number of significant digits with which a decimal may stand for an exact
            value, if it is that value correctly rounded.
        tolerance_percent: 0, or by how many per cent of the larger of the two a number may differ from gold's, as
            SciBench marks (``math.isclose`` with ``rel_tol`` 0.05; Wang et al. 2024). Known units are converted,
            those of different measures are different, and a unit may be left out.
        unreduced_fractions: ``2/4`` is ``1/2``.
        percent_as_fraction: ``50%`` is ``0.5`` (besides 50, whose percent sign is left out).
        degrees_as_radians: 180 degrees is pi.
        base_may_be_dropped: ``52`` is ``52_8`` where gold has the base.
        units_may_be_dropped: ``5`` is ``5 cm``.
        factored_equals_expanded: ``(x+1)^2`` is ``x^2+2x+1``.
        letters_as_parameters: ``k pi`` is ``n pi``: one letter may have another name.
        extraction: where an answer is looked for. ``announced``: where the text announces it (a box, a heading, a
            phrase, and so on). ``conclusion``: there too, and where nothing announces one, in the last complete
            sentence if that concludes and holds exactly one quantity (:mod:`prm_eval.grading.finding.conclusions`).
            It does not change the comparison of two answers.
        text_only: only strings that are equal after the clean-up of the MATH data set's own grader are equal.
    """

    rounded_decimals: int = 0
    tolerance_percent: int = 0
    unreduced_fractions: bool = True
    percent_as_fraction: bool = False
    degrees_as_radians: bool = False
    base_may_be_dropped: bool = True
    units_may_be_dropped: bool = True
    factored_equals_expanded: bool = True
    letters_as_parameters: bool = False
    text_only: bool = False
    extraction: str = "announced"

    def __str__(self) -> str:
        """Return the options that differ from the default as text; ``strict`` where none does."""
        changed = [
            f"{each.name}={_spelt(getattr(self, each.name))}"
            for each in fields(self)
            if getattr(self, each.name) != each.default
        ]
        return "+".join(changed) or "strict"


EXTRACTIONS = ("announced", "conclusion")
STRICT = GradingOptions()
PRESETS = {
    "strict": STRICT,
    "prm800k": GradingOptions(unreduced_fractions=False, units_may_be_dropped=True),
    "hendrycks": GradingOptions(text_only=True),
    "math_verify": GradingOptions(rounded_decimals=6, percent_as_fraction=True),
}


def parse_options(text: str | None) -> GradingOptions:
    """Return grading options from their text: a preset, or options joined by plus signs.

    An example is ``percent_as_fraction+rounded_decimals=4``.

    Raises:
        PrmEvalError: There is no such preset or option, or its value is out of range.
    """
    options = STRICT
    for part in (text or "strict").split("+"):
        name, equals, value = part.strip().partition("=")
        if name in PRESETS and not equals:
            options = PRESETS[name]
            continue
        known = {each.name: type(each.default) for each in fields(GradingOptions)}
        if name not in known:
            raise PrmEvalError(
                f"unknown grading option {name!r}; options: {', '.join(known)}; presets: {', '.join(PRESETS)}"
            )
        changed: dict[str, Any] = {name: _value(name, known[name], value or _GIVEN_ALONE[known[name]])}
        options = replace(options, **changed)
    return options


_GIVEN_ALONE: dict[type, str] = {int: "3", bool: "1", str: ""}


def _spelt(value: object) -> str:
    return value if isinstance(value, str) else str(int(bool(value)) if isinstance(value, bool) else value)


def _value(name: str, kind: type, text: str) -> int | bool | str:
    if kind is str:
        if text not in EXTRACTIONS:
            raise PrmEvalError(f"grading option {name} = {text!r}; expected {' or '.join(EXTRACTIONS)}")
        return text
    try:
        number = {"true": 1, "false": 0}.get(text.casefold())
        number = int(text) if number is None else number
    except ValueError:
        number = -1
    if not 0 <= number <= (1 if kind is bool else 50):
        raise PrmEvalError(f"grading option {name} = {text!r}; expected {'0 or 1' if kind is bool else '0 to 50'}")
    return bool(number) if kind is bool else number
