"""Several optimizers as one, each for parameters of its own; and Muon for processors without bfloat16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch


class Joined(torch.optim.Optimizer):  # type: ignore[misc]
    """Several optimizers that step together; schedulers and states see one.

    Args:
        parts: The optimizers.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)
        # the groups are those of the parts, so that a scheduler sets their rates
        super().__init__([group for part in self.parts for group in part.param_groups], {})

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Let every part step; return what ``closure`` returns, where there is one."""
        loss = _called(closure)
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the parts, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        for part, held in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(held)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


class Float32Muon(torch.optim.Muon):  # type: ignore[misc]
    """Muon whose orthogonalization computes in float32, where torch's converts to bfloat16.

    On a processor without instructions for bfloat16 those small products take longer than the whole rest of a step.
    Rates are adjusted to the size of AdamW's updates.

    Args:
        parameters: Matrices.
        adjust_lr_fn: "match_rms_adamw", the one way of adjusting rates that is here.
        options: As for ``torch.optim.Muon``.
    """

    def __init__(self, parameters: Any, *, adjust_lr_fn: Literal["match_rms_adamw"], **options: Any) -> None:
        if adjust_lr_fn != "match_rms_adamw":
            raise ValueError(f"adjust_lr_fn = {adjust_lr_fn!r}; expected 'match_rms_adamw'")
        super().__init__(parameters, adjust_lr_fn=adjust_lr_fn, **options)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take a step for all parameters with gradients; return what ``closure`` returns, where there is one."""
        loss = _called(closure)
        for group in self.param_groups:
            for each in group["params"]:
                if each.grad is not None:
                    self._update(each, group)
        return loss

    def _update(self, parameter: Any, group: dict[str, Any]) -> None:
        gradient, held, momentum = parameter.grad, self.state[parameter], group["momentum"]
        if "momentum_buffer" not in held:
            held["momentum_buffer"] = torch.zeros_like(gradient)
        mean = held["momentum_buffer"].lerp_(gradient, 1 - momentum)
        ahead = gradient.lerp(mean, momentum) if group["nesterov"] else mean
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        rate = group["lr"] * 0.2 * max(parameter.shape) ** 0.5
        parameter.sub_(orthogonal(ahead, group["ns_coefficients"], group["ns_steps"], group["eps"]), alpha=rate)


def _called(closure: Callable[[], float] | None) -> float | None:
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def orthogonal(matrix: Any, coefficients: Sequence[float], rounds: int, least: float) -> Any:
    """Return about the nearest matrix with orthonormal rows or columns, by Newton-Schulz rounds.

    In each, singular values s become a s + b s**3 + c s**5, which with the coefficients of Muon comes near 1 and stays
    there, but does not converge.

    Args:
        matrix: Two dimensions, float32.
        coefficients: a, b and c.
        rounds: The number of rounds.
        least: The least norm that is divided by.
    """
    a, b, c = coefficients
    wide = matrix.shape[0] <= matrix.shape[1]
    found = matrix if wide else matrix.T
    found = found / found.norm().clamp(min=least)
    for _ in range(rounds):
        squares = found @ found.T
        found = torch.addmm(found, b * squares + c * (squares @ squares), found, beta=a)
    return found if wide else found.T
