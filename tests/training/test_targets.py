"""What each step is trained to be, and what the loss of it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from prm_eval.errors import PrmEvalError
from prm_eval.stepsets.labels import by_first_error, by_ratings, by_soft, unlabelled
from prm_eval.training.options import TrainOptions, parse_weights
from prm_eval.training.targets import Columns, class_weights, counts, losses, step_targets, weights_of

N = None


@pytest.mark.parametrize(
    ("label", "options", "expected"),
    [
        (by_first_error(1, 4), {}, [1, 0, N, N]),
        (by_first_error(-1, 3), {}, [1, 1, 1]),
        (by_first_error(0, 2), {}, [0, N]),
        (by_ratings([1, -1, 1, -1], 4), {}, [1, 0, N, N]),
        (by_ratings([1, 0, -1], 3), {}, [1, 1, 0]),
        (by_ratings([1, 0, -1], 3), {"neutral": "bad"}, [1, 0, 0]),
        (by_ratings([1, 0, -1], 3), {"neutral": "out"}, [1, N, 0]),
        (by_ratings([1, 0, -1], 3), {"neutral": "class"}, [1, 2, 0]),
        (by_ratings([None, None, -1], 3), {}, [N, N, 0]),
        (by_ratings([None, 1, None, 0], 4), {}, [N, 1, N, 1]),
        (by_soft([0.75, 0.25, 0.0, 0.5], 4), {}, [1, 1, 0, N]),
        (by_soft([0.75, 0.25, 0.0, 0.5], 4), {"soft": True}, [0.75, 0.25, 0.0, N]),
        (by_soft([None, 0.5], 2), {"soft": True}, [N, 0.5]),
        (unlabelled(), {}, [N, N]),
    ],
)
def test_targets_of_labels(label, options, expected) -> None:
    """Otherwise steps after the first mistake, or neutral steps, are trained as something nobody said they are."""
    n = len(expected)
    assert step_targets(label, n, **options) == expected


def test_distributions() -> None:
    """Otherwise a target trains another output than the one that the recipe reads as good or bad."""
    targets = np.array([1.0, 0.0, 0.25], dtype=np.float32)
    assert Columns(1).distributions(targets).tolist() == [[1.0], [0.0], [0.25]]
    assert Columns(2, 0, 1).distributions(targets).tolist() == [[0, 1], [1, 0], [0.75, 0.25]]
    assert Columns(2, 1, 0).distributions(targets).tolist() == [[1, 0], [0, 1], [0.25, 0.75]]
    three = Columns(3, 0, 2, 1).distributions(np.array([1.0, 2.0, 0.0], dtype=np.float32))
    assert three.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_losses_by_hand() -> None:
    """Otherwise the loss is no cross-entropy: soft targets and single outputs included."""
    logits = torch.tensor([[0.5, -1.0], [2.0, 0.0]])
    wanted = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    z = [math.log(math.exp(0.5) + math.exp(-1.0)), math.log(math.exp(2.0) + 1.0)]
    by_hand = [-(0.25 * (0.5 - z[0]) + 0.75 * (-1.0 - z[0])), -(2.0 - z[1])]
    assert losses(logits, wanted).tolist() == pytest.approx(by_hand, abs=1e-6)
    single = losses(torch.tensor([[0.3]]), torch.tensor([[0.8]])).tolist()
    p = 1 / (1 + math.exp(-0.3))
    assert single == pytest.approx([-(0.8 * math.log(p) + 0.2 * math.log(1 - p))], abs=1e-6)


def test_class_weights() -> None:
    """Otherwise the rarer class weighs as little as it is rare although balance was asked for."""
    targets = np.array([1, 1, 1, 0, 2, 2], dtype=np.float32)
    number = counts(targets)
    assert number == {"bad": 1, "neutral": 2, "good": 3}
    balanced = class_weights("balanced", number)
    assert [w * n for w, n in zip(balanced, (1, 2, 3), strict=True)] == pytest.approx([2, 2, 2])
    assert class_weights("bad=3", number) == (3.0, 1.0, 1.0)
    given = weights_of(np.array([1, 0, 2, 0.25], dtype=np.float32), (3.0, 2.0, 1.0))
    assert given.tolist() == pytest.approx([1, 3, 2, 0.25 * 1 + 0.75 * 3])
    with pytest.raises(PrmEvalError, match="0 bad and 3 good targets; expected both"):
        class_weights("balanced", counts(np.ones(3, dtype=np.float32)))


@pytest.mark.parametrize("text", ["bad", "bad=x", "bad=0", "worse=1", "bad=1,bad=2", "bad=-1", "bad=nan"])
def test_malformed_weights(text) -> None:
    """Otherwise a slip of the pen trains with other weights than were meant."""
    with pytest.raises(PrmEvalError, match="expected balanced, or positive numbers"):
        parse_weights(text)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "orm", "soft": True}, "--soft is about labels of steps"),
        ({"kind": "orm", "neutral": "class"}, "--neutral is about labels of steps"),
        ({"kind": "prm", "held_out": 1.0}, "--held-out 1.0; expected a number from 0"),
        ({"kind": "prm", "held_out": 0.0, "patience": 2}, "nothing is held out"),
        ({"kind": "prm", "accumulate": 0}, "--accumulate 0"),
        ({"kind": "prm", "lora_alpha": 8}, "expected --lora RANK with it"),
        ({"kind": "prm", "lora": 4, "fsdp": "x.json"}, "expected one of the two"),
    ],
)
def test_options_that_have_no_meaning(options, said) -> None:
    """Otherwise they are ignored without a word, and the user believes that they were followed."""
    with pytest.raises(PrmEvalError, match=said):
        TrainOptions(**options)
