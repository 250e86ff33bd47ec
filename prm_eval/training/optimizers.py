"""Several optimizers as one, each for parameters of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

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
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
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
