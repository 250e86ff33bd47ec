"""The card says what was trained on what, what is known of it, and what it must not be used for."""

from __future__ import annotations

import copy

import pytest

from prm_eval.evaluation.stepwise.resampling import Estimate
from prm_eval.training.card import card_text, curve_svg
from prm_eval.training.figures import Figures, _limits

RECORD = {
    "kind": "prm",
    "command": "prm-eval train prm SET --base B -o OUT",
    "base": {"id": "my/base", "revision": "abc"},
    "data": {"path": "SET", "content_hash": "f" * 64, "name": "sums", "labels": "rated", "label_source": "people"},
    "examples": {
        "trained_on": 90, "problems": 45, "held_out_problems": 5, "held_out_solutions": 10,
        "left_out": {"held out": 10}, "first_left_out": {"held out": "SET, row 3 (s2)"},
        "cut_otherwise_by_the_recipe": 0, "contradictory_texts": 0,
        "targets": {"bad": 30.0, "neutral": 0.0, "good": 60.0},
    },
    "contamination": {"sets_checked": ["math500", "miniature"], "sets_unchecked": [], "found": {}, "what": "refuse"},
    "work": {"updates": 7, "tokens": 1000, "packed": True, "why_padded": "", "padding_waste": 0.0, "shared": 0.5,
             "seconds": 3.0, "device": "cpu"},
    "loaded_again_apart": 1e-7,
    "versions": {"torch": "2"},
}  # fmt: skip
FIGURES = Figures({}, [["held-out problems", "step AUC"], ["this model", "70.0 [60.0, 80.0]"]], [])


def changed(**parts):
    record = copy.deepcopy(RECORD)
    for path, value in parts.items():
        room, _, key = path.partition("__")
        if key:
            record[room][key] = value
        else:
            record[room] = value
    return record


def test_a_whole_card() -> None:
    """Otherwise a reader of the card does not know data, command, figures with limits or their number of problems."""
    text = card_text(RECORD, FIGURES)
    for said in ("f" * 64, RECORD["command"], "70.0 [60.0, 80.0]", "10 solutions of 5 problems", "30 bad, 60 good",
                 "90 solutions of 45 problems", "held out 10 (first SET, row 3 (s2))", 'base_model: "my/base"',
                 "math500, miniature", "50.0 % of the tokens shared"):  # fmt: skip
        assert said in text, said
    assert "neutral" not in text and "worth nothing" not in text and text.startswith("---\n")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"contamination__found": {"math500": 3}, "contamination__what": "keep"},
            "worth nothing: .*math500 .3 problems",
        ),
        ({"contamination__found": {"math500": 3}, "contamination__what": "drop"}, "were left out: math500 .3 problems"),
        ({"contamination__sets_unchecked": ["gsm8k"]}, "Not checked, because they could not be had: gsm8k"),
        ({"data__label_source": "rollouts"}, "Its labels were made by a model"),
        ({"data__label_source": "judge"}, "Its labels were made by a model"),
        ({"examples__cut_otherwise_by_the_recipe": 4}, "4 solutions have given steps that the recipe's own splitter"),
        ({"examples__contradictory_texts": 2}, "2 texts have two labels"),
        (
            {"work__packed": False, "work__why_padded": "switched off", "work__padding_waste": 0.25},
            "25.0 % of the rows",
        ),
        ({"kind": "orm"}, "An? outcome reward model"),
        ({"command": ""}, "not from the command line"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_what_a_reader_must_know(parts, said) -> None:
    """Otherwise a card hides that a figure is worth nothing, or what its labels are worth."""
    import re

    assert re.search(said, card_text(changed(**parts), FIGURES))
    assert not re.search(said, card_text(RECORD, FIGURES))


def test_nothing_held_out_is_said() -> None:
    """Otherwise an empty table stands where nothing is known."""
    assert "Nothing was held out: nothing is known" in card_text(RECORD, Figures({}, [], []))


@pytest.mark.parametrize(
    ("found", "signed", "said"),
    [
        (Estimate(0.7, 0.6, 0.8), False, "70.0 [60.0, 80.0]"),
        (Estimate(0.05, -0.01, 0.11), True, "+5.0 [-1.0, +11.0]"),
        (Estimate(0.5), False, "50.0"),
        (Estimate(None, reason="one class only"), False, "– (one class only)"),
    ],
)
def test_numbers_have_their_limits(found, signed, said) -> None:
    """Otherwise a difference loses its sign, or an undefined figure becomes a number."""
    assert _limits(found, signed=signed) == said


def test_the_curve_is_the_same_each_time() -> None:
    """Otherwise a card changes although nothing did, or a run without figures has no curve."""
    lines = [{"step": 1, "loss": 0.7}, {"step": 2, "loss": 0.5}, {"step": 2, "held_out": {"step_auc": 0.6}}]
    assert curve_svg(lines) == curve_svg(lines) and curve_svg(lines).startswith("<svg")
    assert "held out" in curve_svg(lines) and "held out" not in curve_svg(lines[:2])
    assert curve_svg([{"step": 1, "held_out": {"bon@4": 0.5}}]).startswith("<svg")
