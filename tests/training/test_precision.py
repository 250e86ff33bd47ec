"""Precision by device, and Muon where there is no bfloat16. Each test says what would be wrong if it failed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from prm_eval.training.optimizers import Float32Muon, orthogonal  # noqa: E402
from prm_eval.training.precision import half_precision  # noqa: E402


@pytest.mark.parametrize(("has", "expected"), [(True, "bfloat16"), (False, None)])
def test_a_cpu_without_instructions_gets_no_half_precision(monkeypatch, has, expected) -> None:
    """It would convert every number of every product, and train nine times as long."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has, raising=False)
    assert half_precision("cpu") == expected


def test_an_unknown_processor_gets_no_half_precision(monkeypatch) -> None:
    """The question is private in torch and may be gone; Apple's and other devices are not asked it."""
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert half_precision("cpu") is None and half_precision("mps") is None


@pytest.mark.parametrize(("has", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_an_old_gpu_gets_float16(monkeypatch, has, expected) -> None:
    """A T4 has no bfloat16: emulated, it is slower than float32."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or has)
    assert half_precision("cuda:0") == expected


@pytest.mark.parametrize("shape", [(128, 384), (384, 128), (32, 32)])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_in_float32_is_muon(shape, nesterov) -> None:
    """Else the same recipe would be another one on another processor."""
    torch.manual_seed(0)
    start = torch.randn(shape)
    both = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    options = {"lr": 0.02, "weight_decay": 0.1, "nesterov": nesterov, "adjust_lr_fn": "match_rms_adamw"}
    optimizers = [kind([each], **options) for kind, each in zip((torch.optim.Muon, Float32Muon), both, strict=True)]
    for _ in range(5):
        gradient = torch.randn(shape)
        for each, optimizer in zip(both, optimizers, strict=True):
            each.grad = gradient.clone()
            optimizer.step()
    moved, apart = (both[0] - start).abs().max(), (both[0] - both[1]).abs().max()
    assert apart < 0.02 * moved  # what bfloat16 rounds


def test_muon_in_float32_goes_on_from_a_state_of_torch() -> None:
    """A run that was cut off on one machine could not go on."""
    torch.manual_seed(0)
    one = torch.nn.Parameter(torch.randn(8, 4))
    first = torch.optim.Muon([one], lr=0.01, adjust_lr_fn="match_rms_adamw")
    one.grad = torch.randn(8, 4)
    first.step()
    second = Float32Muon([one], lr=0.5, adjust_lr_fn="match_rms_adamw")
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.state[one]["momentum_buffer"], first.state[one]["momentum_buffer"])
    assert second.param_groups[0]["lr"] == 0.01
    before = one.detach().clone()
    assert second.step(lambda: 3.0) == 3.0
    assert not torch.equal(before, one)
    one.grad = None
    before = one.detach().clone()
    second.step()
    assert torch.equal(before, one)


def test_muon_in_float32_takes_no_other_rates() -> None:
    """An option that is passed over would be another training than the one that was asked for."""
    with pytest.raises(ValueError, match="adjust_lr_fn = 'original'; expected 'match_rms_adamw'"):
        Float32Muon([torch.nn.Parameter(torch.zeros(2, 2))], adjust_lr_fn="original")


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (16, 16)])
def test_singular_values_come_near_one(shape) -> None:
    """An update with other singular values is no update of Muon."""
    torch.manual_seed(1)
    found = orthogonal(torch.randn(shape), (3.4445, -4.775, 2.0315), 5, 1e-7)
    values = torch.linalg.svdvals(found)
    assert found.shape == shape and values.min() > 0.4 and values.max() < 1.3
