"""Attention of a packed row: each way gives what one plain forward a candidate gives, in few launches and copies."""

from __future__ import annotations

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from prm_eval.rewards.engine import attention  # noqa: E402
from prm_eval.rewards.engine import engine as engine_module  # noqa: E402
from prm_eval.rewards.engine.batches import Packed, Padded  # noqa: E402
from prm_eval.rewards.engine.engine import Engine  # noqa: E402
from prm_eval.rewards.engine.packing import lay_out  # noqa: E402
from prm_eval.rewards.inputs.rendered import Rendered  # noqa: E402
from tests.rewards.test_engine import CONFIGS, PACKS, TinyNetwork, plain, some_candidates  # noqa: E402

pytestmark = pytest.mark.unmeasured

torch.set_num_threads(1)
product = torch.nn.functional.scaled_dot_product_attention
# operations that read or write no data
VIEWS = {
    "alias", "as_strided", "detach", "expand", "permute", "select", "slice", "split", "t", "transpose", "unbind",
    "unsqueeze", "squeeze", "view", "_unsafe_view", "_reshape_alias", "unflatten", "flatten", "empty",
}  # fmt: skip


class Launches(TorchDispatchMode):
    """Counts operations that do something: on a GPU each is a launch at least."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, call, types, arguments=(), options=None):
        name = call._overloadpacket.__name__
        if name not in VIEWS:
            self.names.append(name)
        return call(*arguments, **(options or {}))


def varlen(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1), enable_gqa=False):
    """Attention of variable lengths as torch 2.13 documents it: the last query sees the last key."""
    assert (query.dim(), key.dim()) == (3, 3) and cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    assert enable_gqa or query.shape[1] == key.shape[1]
    assert window_size[1] == 0, "not causal"
    assert (max_q, max_k) == (int(cu_seq_q.diff().max()), int(cu_seq_k.diff().max()))
    assert (int(cu_seq_q[-1]), int(cu_seq_k[-1])) == (len(query), len(key))
    parts = []
    for (a, b), (c, d) in zip(cu_seq_q.unfold(0, 2, 1).tolist(), cu_seq_k.unfold(0, 2, 1).tolist(), strict=True):
        place, seen = torch.arange(d - c - (b - a), d - c)[:, None], torch.arange(d - c)[None]
        mask = (seen <= place) & ((seen >= place - window_size[0]) if window_size[0] >= 0 else True)
        q, k, v = (each.transpose(0, 1)[None] for each in (query[a:b], key[c:d], value[c:d]))
        parts.append(product(q, k, v, attn_mask=mask, scale=scale, enable_gqa=enable_gqa)[0].transpose(0, 1))
    return torch.cat(parts)


def varlen_of_2_10(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False, return_aux=None):
    """The same as torch 2.10 has it: causal by a switch, no window, no scale, grouped heads without being told."""
    assert is_causal
    return varlen(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, window_size=(-1, 0), enable_gqa=True)


def wrong_varlen(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, scale=None, window_size=(-1, -1)):
    """One in which the first query sees the first key only, however many keys come before it."""
    key, value = key.repeat_interleave(2, 1), value.repeat_interleave(2, 1)
    parts = [
        product(*(x.transpose(0, 1)[None] for x in (query[a:b], key[c:d], value[c:d])), is_causal=True)
        for (a, b), (c, d) in zip(cu_seq_q.unfold(0, 2, 1).tolist(), cu_seq_k.unfold(0, 2, 1).tolist(), strict=True)
    ]
    return torch.cat([each[0].transpose(0, 1) for each in parts])


def like_a_gpu(monkeypatch, call) -> None:
    monkeypatch.setattr(attention, "_varlen", lambda: call)
    monkeypatch.setattr(engine_module, "can_varlen", lambda device, dtype: True)


def siblings(count: int, *, shared: int = 30, longest: int = 60) -> list[tuple[int, ...]]:
    """Sequences of one problem, with a common beginning and ends of different lengths."""
    start = tuple(range(3, 3 + shared))
    return sorted((*start, *(3 + (7 * k + j) % 50 for j in range(longest - k))) for k in range(count))


@pytest.mark.parametrize("name", sorted(PACKS))
@pytest.mark.parametrize("budget", [100, 100_000])
def test_groups_as_on_a_gpu_score_as_one_plain_forward_a_candidate(name, budget, monkeypatch) -> None:
    """Filled-up groups, masks that differ within a group, windows: a wrong index would mix candidates on GPUs only."""
    monkeypatch.setattr(attention, "ON_CPU", attention.ELSEWHERE)
    network, candidates = TinyNetwork(CONFIGS[name]()), some_candidates(40)
    engine = Engine(network, device="cpu", dtype="float32", batch_tokens=budget)
    for one, logits in zip(candidates, engine.logits(candidates), strict=True):
        assert torch.allclose(logits, plain(network, one), atol=1e-5), one
    assert engine.batcher.name == "packed", engine.why_padded


@pytest.mark.parametrize("name", sorted(PACKS))
@pytest.mark.parametrize("call", [varlen, varlen_of_2_10])
def test_one_call_a_layer_scores_as_one_plain_forward_a_candidate(name, call, monkeypatch) -> None:
    """Attention of variable lengths as each version of torch has it; a layer that it cannot do goes in groups."""
    like_a_gpu(monkeypatch, call)
    network, candidates = TinyNetwork(CONFIGS[name]()), some_candidates(40)
    engine = Engine(network, device="cpu", dtype="float32", batch_tokens=400)
    for one, logits in zip(candidates, engine.logits(candidates), strict=True):
        assert torch.allclose(logits, plain(network, one), atol=1e-5), one
    assert engine.batcher.varlen is not (call is varlen_of_2_10 and name == "mistral, sliding window")


def test_a_wrong_call_is_found_by_the_trial(monkeypatch, caplog) -> None:
    """Versions of these kernels differ in which key a query is held against: a silent difference would be a wrong
    score for every candidate with a shared beginning."""
    like_a_gpu(monkeypatch, wrong_varlen)
    network, candidates = TinyNetwork(CONFIGS["qwen2"]()), some_candidates()
    with caplog.at_level("INFO"):
        engine = Engine(network, device="cpu", dtype="float32")
        found = engine.logits(candidates)
    assert (engine.batcher.name, engine.batcher.varlen, engine.why_padded) == ("packed", False, "")
    assert "sequences are not packed for one call a layer: packed hidden states are off by" in caplog.text
    assert all(torch.allclose(a, plain(network, one), atol=1e-5) for one, a in zip(candidates, found, strict=True))


def test_which_devices_have_one_call_a_layer() -> None:
    """The kernels exist for GPUs in half precision only; elsewhere the trial would be an error each time."""
    assert attention.can_varlen("cuda:1", "bfloat16") is (attention._varlen() is not None)
    assert not any(
        attention.can_varlen(*each) for each in (("cpu", "bfloat16"), ("cuda", "float32"), ("mps", "float16"))
    )


def launches(sequences, *, varlen: bool = False) -> list[str]:
    """Return the launches of one layer's attention, masks and indices made already."""
    layout = lay_out(sequences)
    rows = len(layout.ids)
    made = [torch.randn(1, rows, heads, 8).transpose(1, 2) for heads in (4, 2, 2)]
    token = attention._current.set((layout, varlen))
    try:
        attention.packed_attention(None, *made)
        with Launches() as counted:
            attention.packed_attention(None, *made)
    finally:
        attention._current.reset(token)
    return counted.names


def test_launches_a_layer(monkeypatch) -> None:
    """33 candidates of a problem: on a GPU three launches a layer, or nine in two groups; not one and copies of heads
    for each of them, which were 260 before."""
    sequences = siblings(33)
    with monkeypatch.context() as patch:
        patch.setattr(attention, "_varlen", lambda: lambda query, *_, window_size, enable_gqa: query.clone())
        assert launches(sequences, varlen=True) == ["index_select", "index_select", "clone"]
        assert launches([sequences[0]], varlen=True) == ["clone"]  # nothing is shared: nothing is gathered
    with monkeypatch.context() as patch:
        patch.setattr(attention, "ON_CPU", attention.ELSEWHERE)
        names = launches(sequences)
        products = [each for each in names if "scaled_dot_product" in each]
        assert len(products) <= 4 and len(names) <= 8 * len(products) + 2, names
    names = launches(sequences)
    assert sum("scaled_dot_product" in each for each in names) == len(sequences)
    # one for its keys and one for its values, where its beginning lies elsewhere; one to join all
    assert len(names) == len(sequences) + 2 * (len(sequences) - 1) + 1, names


def test_no_key_is_copied_for_its_query_heads(monkeypatch) -> None:
    """A 7B model has seven query heads a key: repeated keys are the memory and the time of seven."""
    seen = []

    def noted(query, key, value, **options):
        seen.append((key.stride(1), value.stride(1), options["attn_mask"] is None))
        return product(query, key, value, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noted)
    launches(siblings(6))
    launches(siblings(6, shared=50, longest=20))
    assert {each[:2] for each in seen} == {(0, 0)} and {each[2] for each in seen} == {True, False}


def test_gradients_of_groups() -> None:
    """Training on a GPU goes in groups: a beginning that several sequences see collects the gradients of all."""
    config = CONFIGS["qwen2"]()
    sequences = [*siblings(5, shared=20, longest=30), tuple(range(3, 40))]
    found = []
    for costs in (attention.ELSEWHERE, attention.ON_CPU, None):
        network = TinyNetwork(config)
        batch = [Rendered(one, tuple(range(len(one)))) for one in sequences]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(attention, "ON_CPU", costs or attention.ON_CPU)
            batcher = Padded() if costs is None else Packed()
            batcher.run(network.trunk, batch, "cpu").rows.square().sum().backward()
        found.append([each.grad for each in network.model.parameters()])
    for packed in found[:2]:
        assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(packed, found[2], strict=True))


def test_threads_of_a_backward_pass_find_the_layout() -> None:
    """On a GPU activations are computed again in threads of torch's own, which have no context of ours: training with
    --checkpointing would end there. Afterwards nothing of it is left in the config that is saved."""
    network = TinyNetwork(CONFIGS["qwen2"]())
    layout = lay_out(siblings(4))
    given = {"input_ids": torch.tensor([layout.ids]), "position_ids": torch.tensor([layout.position_ids])}
    before, found = network.config.to_dict(), []

    def forward() -> None:
        with torch.inference_mode():
            found.append(network(**given).last_hidden_state)

    with attention.packed(network.trunk, layout):
        forward()
        thread = threading.Thread(target=forward)
        thread.start()
        thread.join()
    assert len(found) == 2 and torch.equal(*found)
    assert network.config.to_dict() == before
    with pytest.raises(RuntimeError, match=r"outside of packed\(\)"):
        attention.packed_attention(None, *[torch.zeros(1, 2, 3, 4)] * 3)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(1, 80)), min_size=1, max_size=12),
    st.sampled_from([None, 7, 40]),
    st.sampled_from([1.0, 1.5, 3.0]),
)
def test_groups_hold_every_sequence_once_within_their_waste(drawn, window, waste) -> None:
    """A sequence in no group has no output, one in two has another's; a group of unlike ones is slower than none."""
    sequences = sorted({(*range(100 * p, 100 * p + shared), *range(900, 900 + own)) for p, shared, own in drawn})
    layout = lay_out(sequences)
    groups = attention.group_up(layout, window, attention.Costs(waste, 0))
    members = sorted(number for group in groups for number in group.members)
    assert members == [number for number, (start, stop) in enumerate(layout.own) if start < stop]
    for group in groups:
        queries = [sum(b - a for a, b in each) for each in group.queries]
        keys = [sum(b - a for a, b in each) for each in group.keys]
        needed = sum(q * k for q, k in zip(queries, keys, strict=True))
        assert len(queries) * max(queries) * max(keys) <= waste * needed
        assert not group.causal or (queries == keys and (window is None or max(keys) <= window))


def cut(sequences, budget: int) -> list[list[tuple[int, ...]]]:
    """Return the batches that are cut off one after the other, as the engine does."""
    batcher, found = Packed(), []
    todo = batcher.order(sequences)
    while todo:
        size = batcher.size(todo, sequences, budget)
        found.append([sequences[index] for index in todo[:size]])
        todo = todo[size:]
    return found


def test_a_batch_ends_where_little_is_shared() -> None:
    """What two sequences share is computed twice if a batch ends between them: with 2,048 rows a batch that was a
    tenth of all rows of a real pool."""
    starts = [tuple(range(1_000 * p, 1_000 * p + 60)) for p in range(6)]
    sequences = [(*starts[p], *(1_000 * p + 100 + 50 * k + j for j in range(40))) for p in range(6) for k in range(5)]
    batches = cut(sequences, 300)
    assert [len(batch) for batch in batches] == [5] * 6  # 60 + 5 * 40 rows; the first of the next would still fit


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(1, 60)), min_size=1, max_size=9),
    st.integers(1, 300),
)
def test_batches_are_cut_as_well_as_any(drawn, budget) -> None:
    """The cheapest of all ways to cut, where the plan sees every sequence: a wrong sum would cost rows in silence."""
    sequences = sorted({(*range(100 * p, 100 * p + shared), *range(900, 900 + own)) for p, shared, own in drawn})
    whole = len(lay_out(sequences).ids)
    batches = cut(sequences, budget)
    assert [one for batch in batches for one in batch] == sequences
    assert all(len(batch) == 1 or len(lay_out(batch).ids) <= budget for batch in batches)
    if whole > 3 * budget:
        return  # it plans three batches at a time

    def cost(some) -> float:
        return sum(max(len(lay_out(batch).ids), budget / 4) for batch in some)

    best = float("inf")
    for ends in itertools.product([False, True], repeat=len(sequences) - 1):
        places = [0, *(at + 1 for at, end in enumerate(ends) if end), len(sequences)]
        ways = [sequences[a:b] for a, b in itertools.pairwise(places)]
        if all(len(batch) == 1 or len(lay_out(batch).ids) <= budget for batch in ways):
            best = min(best, cost(ways))
    assert cost(batches) == best
