"""The network that is trained: a model of transformers that can also be read at given rows only.

It stays a model of its own class, so that transformers, peft, FSDP and DeepSpeed save, wrap and shard it as they know
it. The head is applied in float32 and only where it is read, as in scoring.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.engine.attention import packed
from prm_eval.rewards.engine.engine import Engine
from prm_eval.rewards.engine.packing import Layout
from prm_eval.rewards.engine.positions import depends_on_length
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.heads import require_plain_logits
from prm_eval.training.batches import Inputs
from prm_eval.training.heads import CAUSAL, HeadPlan

DROPOUTS = (
    "attention_dropout", "hidden_dropout", "classifier_dropout", "dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop",
    "attention_probs_dropout_prob", "hidden_dropout_prob", "summary_first_dropout",
)  # fmt: skip


class ReadAtRows:
    """What is added to a class of transformers: a forward pass that reads the head at some rows.

    With ``read``, indices into the rows of the batch, it returns float32 logits (rows read, outputs): of the head, of
    some rows of the output matrix, or of all of them for a model that has neither. Without, it is the class's own.
    """

    rows: tuple[int, ...] = ()
    base_model: Any

    def forward(self, *arguments: Any, read: Any = None, **options: Any) -> Any:
        """Return the logits of the rows in ``read``, as ``{"logits": ...}``."""
        if read is None:
            return super().forward(*arguments, **options)  # type: ignore[misc]
        hidden = self.base_model(*arguments, **options, use_cache=False).last_hidden_state
        chosen = hidden.reshape(-1, hidden.shape[-1])[read]
        return {"logits": self._head(chosen)}

    def _head(self, chosen: Any) -> Any:
        import torch

        # mixed precision is for the trunk: the head works in float32, as in scoring
        with torch.autocast(chosen.device.type, enabled=False):
            if not self.rows and not hasattr(self, "score"):
                return self.get_output_embeddings()(chosen.float())  # type: ignore[attr-defined]
            if not self.rows:
                dtype = next(self.score.parameters()).dtype  # type: ignore[attr-defined]
                return self.score(chosen.to(dtype)).float()  # type: ignore[attr-defined]
            matrix = self.get_output_embeddings()  # type: ignore[attr-defined]
            if _is_sharded():
                # only a module's own call gathers its weights
                return matrix(chosen.to(matrix.weight.dtype))[:, list(self.rows)].float()
            rows = matrix.weight[list(self.rows)]
            return torch.nn.functional.linear(chosen.to(rows.dtype), rows).float()


def _is_sharded() -> bool:
    from transformers.integrations import is_deepspeed_zero3_enabled

    return bool(is_deepspeed_zero3_enabled())


def readable(model: Any, rows: tuple[int, ...]) -> Any:
    """Return a model of transformers, made readable at rows in place; its class keeps its name."""
    own = type(model)
    if issubclass(own, ReadAtRows):
        return model
    model.__class__ = type(own.__name__, (ReadAtRows, own), {"rows": rows, "__module__": own.__module__})
    return model


def make_network(plan: HeadPlan, base: str, revision: str | None, tokenizer: Any, seed: int) -> Any:
    """Return the model to train, with the base's weights in float32 and, where it has none, a new head.

    Dropout is off (Lightman et al. 2023, appendix E): training reads what scoring will.

    Raises:
        ModelError: The base cannot be loaded, lacks weights other than the head's, or its class has another head.
    """
    import torch
    import transformers

    config = base_config(plan, base, revision)
    if config.get_text_config().pad_token_id is None and tokenizer.pad_token_id is not None:
        config.pad_token_id = tokenizer.pad_token_id
    torch.manual_seed(seed)
    mapping = getattr(transformers, f"{_MAPPINGS[plan.loader]}_MAPPING")
    try:
        attention = checkpoint.attention(mapping[type(config)])
    except KeyError:
        raise ModelError(f"{base}: transformers has no {plan.loader[9:]} for {config.model_type!r}") from None
    with quiet():
        model, info = checkpoint.from_pretrained(
            getattr(transformers, plan.loader),
            base,
            revision,
            what="base",
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            attn_implementation=attention,
        )
    lacking = sorted(key for key in info.get("missing_keys", ()) if not key.startswith("score."))
    if lacking:
        raise ModelError(f"{base} lacks {', '.join(lacking[:5])}; expected the weights of a {type(model).__name__}")
    _require_head(model, plan, base)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return readable(model, plan.rows)


_MAPPINGS = {
    "AutoModelForTokenClassification": "MODEL_FOR_TOKEN_CLASSIFICATION",
    "AutoModelForSequenceClassification": "MODEL_FOR_SEQUENCE_CLASSIFICATION",
    "AutoModelForCausalLM": "MODEL_FOR_CAUSAL_LM",
}


def base_config(plan: HeadPlan, base: str, revision: str | None) -> Any:
    """Return the config of the model to train: the base's, with the head's outputs and without dropout."""
    config = checkpoint.load("base's config", "AutoConfig", base, revision)
    for each in {id(one): one for one in (config, config.get_text_config())}.values():
        for name in DROPOUTS:
            if isinstance(getattr(each, name, None), (int, float)):
                setattr(each, name, 0.0)
    # transformers' token classifiers have one of 0.1 where the config says nothing
    config.classifier_dropout = 0.0
    if plan.labels is not None:
        config.num_labels = plan.labels
        config.tie_word_embeddings = False
    return config


def _require_head(model: Any, plan: HeadPlan, base: str) -> None:
    if plan.loader == CAUSAL:
        output = model.get_output_embeddings()
        if output is None or max(plan.rows) >= output.weight.shape[0]:
            raise ModelError(f"{base}: its output matrix has no row {max(plan.rows)}, which the recipe reads")
        require_plain_logits(model.config, ["lm_head.bias"] if output.bias is not None else [], base)
    elif not hasattr(model, "score"):
        heads = ", ".join(name for name, _ in model.named_children())
        raise ModelError(
            f"{base}: {type(model).__name__} has no head called score (it has {heads}), which recipes read. "
            "Use a decoder whose classes have one (Llama, Qwen, Mistral, Gemma, Phi, ...), or --head lm-rows"
        )


class Trunk:
    """A trunk and a head in the shape that the engine takes."""

    def __init__(self, model: Any) -> None:
        self.trunk = model.base_model
        self._model = model

    def head(self, hidden: Any) -> Any:
        """Return float32 logits."""
        return self._model._head(hidden)


def why_not_packed(model: Any, sequences: Sequence[tuple[int, ...]], device: str) -> str:
    """Return why sequences must be padded, by a trial on a few; empty if packed ones give the same hidden states."""
    if depends := depends_on_length(model.base_model):
        return f"{depends} positions depend on the longest sequence"
    before = model.training
    model.eval()
    engine = Engine(Trunk(model), device=device, dtype="float32")
    engine.logits([Rendered(one, (len(one) - 1,)) for one in sequences])
    model.train(before)
    return engine.why_padded


@contextmanager
def laid_out(network: Any, layout: Layout | None) -> Iterator[None]:
    """Let the attention of a network, whatever wraps it, follow a layout in this block; in backward passes too."""
    with nullcontext() if layout is None else packed(network.base_model, layout):
        yield


def logits_of(network: Any, inputs: Inputs, device: Any, wrapped: Any = None) -> Any:
    """Return the float32 logits of inputs on the CPU, without gradients.

    Args:
        network: The network itself, whose config says which attention is used.
        inputs: The inputs.
        device: Where they are computed.
        wrapped: What peft, FSDP or DeepSpeed made of the network.
    """
    import torch

    called = network if wrapped is None else wrapped
    tensors = {name: each.to(device) for name, each in inputs.tensors.items()}
    before = called.training
    called.eval()
    try:
        with torch.no_grad(), laid_out(network, inputs.layout):
            return called(**tensors)["logits"].float().cpu()
    finally:
        called.train(before)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from bars of its own, and from reporting a new head: what is missing is our error."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
