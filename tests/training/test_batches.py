"""The schedule, and packing: the same loss and the same gradients as one example at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from prm_eval.rewards.inputs.renderer import Renderer
from prm_eval.training.batches import BatchSet, make_schedule
from prm_eval.training.examples import ExampleMaker, write_examples
from prm_eval.training.heads import plan_head
from prm_eval.training.network import laid_out, make_network, why_not_packed
from prm_eval.training.options import HEADS, TrainOptions
from prm_eval.training.sources import TrainingData
from prm_eval.training.store import Examples
from prm_eval.training.targets import losses
from tests.training import small


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batches")
    small.base(folder / "base")
    small.base(folder / "tied", tied=True, family="Llama")
    small.step_set(folder / "set", 24, kind="rated", final=True, per_problem=6)
    return folder


def laid(home, tmp_path, base="base", **options):
    chosen = TrainOptions(**options)
    tokens = small.tokenizer()
    plan = plan_head(chosen, tokens, "tiny", tmp_path)
    from prm_eval.stepsets import StepSet

    data = TrainingData(home / "set", {}, StepSet(home / "set"))
    write_examples(data.samples(chosen), ExampleMaker(Renderer(plan.recipe, tokens, "tiny"), None), tmp_path / "e",
                   lambda *_: None)  # fmt: skip
    return plan, Examples(tmp_path / "e"), make_network(plan, str(home / base), None, tokens, seed=3)


def loss_of(network, batches) -> float:
    """Compute the loss of all batches together, as the loop does, and its gradients."""
    total = sum(float(batch["weights"].sum()) for batch in batches)
    value = 0.0
    network.zero_grad()
    for batch in batches:
        inputs = {key: each for key, each in batch.items() if key not in ("targets", "weights", "layout")}
        with laid_out(network, batch["layout"]):
            part = (losses(network(**inputs)["logits"], batch["targets"]) * batch["weights"]).sum() / total
            part.backward()
        value += float(part.detach())
    return value


@pytest.mark.parametrize("kind", ["prm", "orm"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("base", ["base", "tied"])
def test_packed_is_unpacked(home, tmp_path, kind, head, base) -> None:
    """Otherwise packing, or a beginning that is computed once, trains something else: loss and gradients to 1e-5."""
    plan, examples, network = laid(home, tmp_path, base, kind=kind, head=head)
    every = np.arange(len(examples))
    nothing = np.zeros(len(examples.all_targets), dtype=bool)
    weights = (2.0, 1.0, 1.0)

    def batches(budget: int, packed: bool):
        schedule = make_schedule(examples, budget, 1, 0, packed=packed, kept=every)
        found = BatchSet(examples, schedule, plan.columns, weights, nothing, packed=packed)
        return schedule, [found[at] for at in range(len(found))]

    alone, one_by_one = batches(1, False)
    assert len(one_by_one) == len(examples) and alone.padding_waste == 0
    reference = loss_of(network, one_by_one)
    gradients = {name: each.grad.clone() for name, each in network.named_parameters() if each.grad is not None}
    for budget, packed in ((600, True), (600, False)):
        schedule, made = batches(budget, packed)
        assert len(made) < len(one_by_one)
        assert schedule.saved > 0.1 if packed else schedule.padding_waste > 0
        assert loss_of(network, made) == pytest.approx(reference, abs=1e-5)
        for name, each in network.named_parameters():
            if each.grad is not None:
                assert torch.allclose(each.grad, gradients[name], atol=1e-5), name


def test_a_schedule_has_each_example_once_a_pass_and_is_the_same_again(home, tmp_path) -> None:
    """Otherwise some solutions are trained on twice or never, or a run that goes on meets other batches."""
    _, examples, _ = laid(home, tmp_path, kind="prm")
    kept = np.array([each for each in range(len(examples)) if each % 5])
    for packed in (True, False):
        schedule = make_schedule(examples, 300, 3, 11, packed=packed, kept=kept)
        flat = np.concatenate(schedule.batches)
        assert np.array_equal(np.sort(flat), np.sort(np.tile(kept, 3)))
        passes = flat.reshape(3, -1)
        assert all(np.array_equal(np.sort(each), kept) for each in passes)
        assert not np.array_equal(passes[0], passes[1])
        again = make_schedule(examples, 300, 3, 11, packed=packed, kept=kept)
        assert all(np.array_equal(one, other) for one, other in zip(schedule.batches, again.batches, strict=True))
        assert int(schedule.rows.max()) <= max(300, int(examples.lengths.max()))
    other = make_schedule(examples, 300, 3, 12, packed=True, kept=kept)
    assert [each.tolist() for each in other.batches] != [each.tolist() for each in schedule.batches]


def test_dropped_targets_are_not_in_the_loss(home, tmp_path) -> None:
    """Otherwise `--contradictions drop` drops nothing."""
    plan, examples, network = laid(home, tmp_path, kind="prm")
    every = np.arange(len(examples))
    dropped = np.zeros(len(examples.all_targets), dtype=bool)
    dropped[examples.owners == 4] = True
    dropped[0] = True
    kept = np.flatnonzero(np.bincount(examples.owners[~dropped], minlength=len(examples)) > 0)
    assert 4 not in kept
    schedule = make_schedule(examples, 400, 1, 0, packed=True, kept=kept)
    found = BatchSet(examples, schedule, plan.columns, (1.0, 1.0, 1.0), dropped, packed=True)
    assert sum(len(found[at]["weights"]) for at in range(len(found))) == int((~dropped).sum())
    assert len(every) == len(kept) + 1 and loss_of(network, [found[0]]) > 0


def test_packing_is_left_where_attention_does_not_allow_it(home, tmp_path) -> None:
    """Otherwise a trunk whose attention cannot follow a layout is trained on sequences that see each other."""
    _, examples, network = laid(home, tmp_path, kind="prm")
    assert why_not_packed(network, [examples.ids(0), examples.ids(1)], "cpu") == ""
    layer = network.base_model.layers[0].self_attn
    layer.is_causal = False
    assert "without" in why_not_packed(network, [examples.ids(0)], "cpu") or "no causal order" in why_not_packed(
        network, [examples.ids(0)], "cpu"
    )
