"""Options of the grader: off, they change nothing; on, they do what they say, and the grades say that they were on."""

from __future__ import annotations

import json

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.grading import GRADER_VERSION, DefaultGrader, is_equivalent, parse_options
from prm_eval.grading.deciding.options import PRESETS

# option, gold, answer, strict verdict, verdict with the option
CASES = [
    ("percent_as_fraction", "50\\%", "0.5", False, True),
    ("percent_as_fraction", "\\frac{1}{4}", "25\\%", False, True),
    ("percent_as_fraction", "\\frac{1}{4}", "26\\%", False, False),
    ("degrees_as_radians", "180^\\circ", "\\pi", False, True),
    ("degrees_as_radians", "\\frac{\\pi}{6}", "30^\\circ", False, True),
    ("rounded_decimals=3", "\\sqrt{2}", "1.41", False, True),
    ("rounded_decimals=3", "\\sqrt{2}", "1.4", False, False),
    ("rounded_decimals=3", "\\sqrt{2}", "1.42", False, False),
    ("rounded_decimals=4", "\\frac{2}{3}", "0.6667", False, True),
    ("rounded_decimals=4", "\\frac{2}{3}", "0.6666", False, False),
    *(
        ("tolerance_percent=5", *case)
        for case in (
            ("50.7", "50", False, True),
            ("50.7", "48", False, False),
            ("-3.8", "3.8", False, False),
            ("50.7\\text{ atm}", "50", False, True),
            ("0", "0.001", False, False),
            ("0", "0.0", True, True),
            ("65.49\\text{ kJ mol^{-1}}", "65.5 kJ/mol", False, True),
            ("65.49\\text{ kJ mol^{-1}}", "6.5 \\times 10^4 J/mol", False, True),
            ("65.49\\text{ kJ mol^{-1}}", "65.5\\text{ m}", False, False),
            ("4.8\\text{ m}", "490\\text{ cm}", False, True),
            ("4.8\\text{ m}", "4.9\\text{ s}", False, False),
            ("4.8\\text{ m}", "v = 4.9", False, True),
            ("3.52 \\times 10^{-19}\\text{ J}", "3.5e-19", False, True),
            ("3.52 \\times 10^{-19}\\text{ J}", "3.52", False, False),
            ("12", "\\approx 12.1", False, True),
            ("2.534", "2\\sqrt2\\sin\\frac{\\pi}{2\\sqrt2}", False, True),
            ("1.25 \\times 10^{-3}\\text{ percent}", "0.00124", False, True),
            ("5", "5x", False, False),
            ("5", "5, 6", False, False),
            ("B", "C", False, False),
            ("5", "a 5th of it", False, False),
        )
    ),
    ("letters_as_parameters", "k\\pi", "n\\pi", False, True),
    ("letters_as_parameters", "k\\pi", "2n\\pi", False, False),
    ("unreduced_fractions=0", "\\frac{1}{2}", "\\frac{2}{4}", True, False),
    ("unreduced_fractions=0", "\\frac{1}{2}", "0.5", True, True),
    ("base_may_be_dropped=0", "52_8", "52", True, False),
    ("units_may_be_dropped=0", "5\\text{ cm}", "5", True, False),
    ("units_may_be_dropped=0", "5", "5\\text{ cm}", True, True),
    ("factored_equals_expanded=0", "x^2+2x+1", "(x+1)^2", True, False),
    ("factored_equals_expanded=0", "(x+1)(x+2)", "(x+2)(x+1)", True, True),
    ("text_only", "\\frac{1}{2}", "\\dfrac12", True, True),
    ("text_only", "\\frac{1}{2}", "\\frac{2}{4}", True, False),
    ("prm800k", "\\frac{1}{2}", "\\frac{2}{4}", True, False),
    ("math_verify", "\\frac{2}{3}", "0.666667", False, True),
    ("hendrycks", "10", "x=10", True, True),
]


@pytest.mark.parametrize(("option", "gold", "answer", "strict", "with_option"), CASES)
def test_an_option_changes_what_it_says_and_nothing_else(option, gold, answer, strict, with_option) -> None:
    """Numbers made with another grader's conventions could not be reproduced, or ours would be made with them
    unasked."""
    assert is_equivalent(gold, answer) is strict
    assert is_equivalent(gold, answer, parse_options(option)) is with_option


def test_the_grades_name_their_options() -> None:
    """Two grades files of one pool could not be told apart otherwise."""
    assert DefaultGrader().version == DefaultGrader("strict").version == GRADER_VERSION
    versions = {DefaultGrader(name).version for name in PRESETS}
    assert len(versions) == len(PRESETS)
    assert DefaultGrader("rounded_decimals=4+percent_as_fraction").version.endswith(
        "+rounded_decimals=4+percent_as_fraction=1"
    )


@pytest.mark.parametrize(
    ("text", "part"), [("loose", "presets"), ("rounded_decimals=x", "0 to 50"), ("text_only=2", "0 or 1")]
)
def test_unknown_options_are_refused_with_the_known_ones(text, part) -> None:
    """A misspelt option that is ignored gives wrong numbers silently."""
    with pytest.raises(PrmEvalError, match=part):
        parse_options(text)


def test_option_labels_of_the_public_sample(data) -> None:
    """Each unlabelled row of other graders' conventions is judged without an exception under every preset."""
    for line in (data / "grader/public_sample.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["corpus"] == "policy":
            for options in PRESETS.values():
                assert is_equivalent(row["gold"], row["pred"], options) in (True, False)
