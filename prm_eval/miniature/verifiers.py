"""Train the miniature verifiers and score candidates with them, outside pools: what the trainings and the studies share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prm_eval.miniature.data import Epochs, Labelled, Labelling, verifier_example
from prm_eval.miniature.train import Schedule, Shape, fit, new_model
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.progress import Progress, silent

ROWS = 256  # texts that are scored at once
MORE_LAYERS = 0


def new_verifier(init: Any, seed: int, more_layers: int = MORE_LAYERS) -> Any:
    """Return an untrained verifier: the trunk of a language model, layers that do nothing yet on top, and a new head.

    A verifier in place of the language model is simply gone on with.
    """
    import copy

    import torch

    if hasattr(init, "score"):
        return copy.deepcopy(init)
    shape = Shape.of(init.config)
    model = new_model(replace(shape, layers=shape.layers + more_layers), seed, labels=2)
    missing, unexpected = model.model.load_state_dict(init.model.state_dict(), strict=False)
    if unexpected or any(int(name.split(".")[1]) < shape.layers for name in missing):
        raise ValueError(f"tensors without a place: {unexpected}, {missing}")
    with torch.no_grad():
        for layer in model.model.layers[shape.layers :]:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    return model


def train_verifier(
    candidates: Sequence[Labelled],
    kind: Labelling,
    init: Any,
    seed: int,
    folder: Path,
    *,
    steps: int | None = None,
    epochs: float = 1.0,
    rate: float = 2e-3,
    more_layers: int = MORE_LAYERS,
    device: str = "cpu",
    progress: Progress = silent,
) -> Any:
    """Train a verifier on labelled candidates and return it; a run that was cut off goes on from ``folder``.

    Args:
        candidates: With the oracle's labels; which of them are used is in ``kind``.
        kind: ``prm``, ``orm`` or ``oracle``; see :func:`prm_eval.miniature.data.verifier_example`.
        init: The language model whose trunk it starts from, or a verifier that is trained further.
        seed: Of the new head and of the order.
        folder: Of the state and the log.
        steps: Optimizer steps of 64 candidates; by default so many that every candidate comes ``epochs`` times.
        epochs: See ``steps``.
        rate: Highest learning rate.
        more_layers: On top of the language model's.
        device: Of the computation.
        progress: Called with the steps done so far.
    """
    encoder = Encoder()
    examples = [verifier_example(encoder, each, kind) for each in candidates]
    stream = Epochs(seed, examples, encoder.pad)
    schedule = Schedule(steps or max(1, round(epochs * stream.batches)), rate)
    model = new_verifier(init, seed, more_layers)
    return fit(model, stream, schedule, folder, progress=progress, device=device)


def score(
    model: Any, texts: Iterable[tuple[str, str]], kind: str, progress: Progress = silent
) -> dict[tuple[str, str], tuple[float, ...]]:
    """Return log-odds of being right for every different (statement, candidate): one a step (``prm``), or one (else)."""
    import torch

    encoder = Encoder()
    work: list[tuple[tuple[str, str], list[int], list[int]]] = []
    for key in dict.fromkeys(texts):
        example = verifier_example(encoder, Labelled(*key, None, True), "prm" if kind == "prm" else "orm")
        at = [index for index, target in enumerate(example.targets) if target >= 0]
        work.append((key, example.ids, at if kind == "prm" else at[-1:]))
    work.sort(key=lambda each: len(each[1]))
    found: dict[tuple[str, str], tuple[float, ...]] = {}
    with torch.inference_mode():
        for start in range(0, len(work), ROWS):
            some = work[start : start + ROWS]
            ids = _padded([each[1] for each in some], encoder.pad).to(model.device)
            logits = model.score(model.model(input_ids=ids, use_cache=False).last_hidden_state).float()
            odds = (logits[..., 1] - logits[..., 0]).cpu()
            for row, (key, _, at) in enumerate(some):
                found[key] = tuple(odds[row, at].tolist())
            progress(len(found))
    return found


def _padded(rows: Sequence[list[int]], padding: int) -> Any:
    import torch

    longest = max(map(len, rows))
    return torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
