"""The options of a training, checked together, and the part of them that decides its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from prm_eval.errors import PrmEvalError
from prm_eval.records import Kind

HeadName = Literal["token-classification", "lm-rows", "value", "sequence-classification"]
HEADS: tuple[HeadName, ...] = get_args(HeadName)
Neutral = Literal["good", "bad", "out", "class"]
NEUTRAL: tuple[Neutral, ...] = get_args(Neutral)
"""What a neutral step is trained as: good (the open reproductions of PRM800K), bad, not at all, or a class of its own
that the score counts as good (Lightman et al. 2023, section 2.6 and appendix F.2)."""
Found = Literal["refuse", "drop", "keep"]
FOUND: tuple[Found, ...] = get_args(Found)
"""What happens with what should not be there: the training is refused, it is left out, or it is trained on."""
Packing = Literal["auto", "off"]
PRECISIONS = ("float32", "bfloat16", "float16")
# where the run stops, or what it says: nothing of its weights
UNDECIDING = frozenset({"save_every", "log_every", "unchecked", "device"})
OF_EVALUATIONS = frozenset({"evaluate_every", "held_out_most", "pool", "pool_problems"})


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """What the loop is told, whatever it trains.

    Attributes:
        rate: The largest learning rate.
        warmup: The share of the updates over which the rate rises; it then falls to 0 on a line.
        decay: AdamW's weight decay.
        clip: The largest norm of the gradient.
        accumulate: Forward passes an update.
        checkpointing: Whether activations are computed again instead of kept.
        precision: Of the computation; the weights stay float32.
        patience: Evaluations without a better figure after which it stops; 0 never stops early.
        evaluate_every: Updates between two evaluations; None is a tenth of the run.
        save_every: Updates between two states on disk; None is a tenth of the run.
        log_every: Updates between two lines of the log.
        seed: Of the new head, of the held-out problems and of the order.
        fsdp: A configuration file of FSDP (JSON), as transformers takes it.
        deepspeed: A configuration file of DeepSpeed.
    """

    rate: float = 1e-5
    warmup: float = 0.05
    decay: float = 0.0
    clip: float = 1.0
    accumulate: int = 4
    checkpointing: bool = False
    precision: str | None = None
    patience: int = 0
    evaluate_every: int | None = None
    save_every: int | None = None
    log_every: int = 10
    seed: int = 0
    fsdp: str | None = None
    deepspeed: str | None = None

    @property
    def sharded(self) -> bool:
        """Whether the weights lie in parts on several devices."""
        return self.fsdp is not None or self.deepspeed is not None


@dataclass(frozen=True)
class TrainOptions(LoopOptions):
    """What a training is told; what the loop needs of it is in :class:`LoopOptions`.

    Attributes:
        kind: What is trained.
        head: The head, where no recipe is given.
        recipe: The name or file of a recipe; None is the head's own.
        grades: Whose grades an ORM learns from ("auto", as for ``prm-eval evaluate``, "own", "published", a grader).
        labels: The folder of labels of a pool, or its name, where it has several.
        form: The format of a file of labelled steps; "auto" recognises it.
        candidates: For PRM800K: every rated completion with the steps before it.
        neutral: What a neutral step is trained as.
        soft: Whether shares of right continuations are the targets themselves.
        class_weights: "balanced", or weights such as "bad=3,good=1"; empty is 1 for all.
        epochs: Passes over the data.
        batch_tokens: The most tokens of a forward pass; None is the device's default.
        packing: Whether sequences are packed into one row where the attention allows it.
        save_dtype: Of the stored weights.
        lora: The rank of a LoRA adapter, merged in the end; 0 trains all weights.
        lora_alpha: Its scale; None is twice the rank.
        max_tokens: Longer inputs are left out; None is the recipe's and the config's limit.
        held_out: The share of the problems that are held out, by statement.
        held_out_data: A step set or graded pool of its own to hold out instead.
        held_out_most: The most held-out solutions that are measured while it runs.
        pool: A graded pool on which best of n is measured while it runs.
        pool_problems: How many of its problems.
        contamination: What happens with problems of a registered set.
        contradictions: What happens where one text has two labels.
        against: Further problem sets, files, pools or step sets; NAME=FILE is a local copy of a registered set.
        unchecked: Whether a registered set that cannot be had is left unchecked.
        revision: Of a base on the hub.
        device: The device, as torch spells it.
    """

    kind: Kind
    head: HeadName = "token-classification"
    recipe: str | None = None
    grades: str = "auto"
    labels: str | None = None
    form: str = "auto"
    candidates: bool = False
    neutral: Neutral = "good"
    soft: bool = False
    class_weights: str = ""
    epochs: int = 1
    batch_tokens: int | None = None
    packing: Packing = "auto"
    save_dtype: str = "float32"
    lora: int = 0
    lora_alpha: int | None = None
    max_tokens: int | None = None
    held_out: float = 0.1
    held_out_data: str | None = None
    held_out_most: int = 500
    pool: str | None = None
    pool_problems: int = 50
    contamination: Found = "refuse"
    contradictions: Found = "refuse"
    against: tuple[str, ...] = ()
    unchecked: bool = False
    revision: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        for name, least, most in (
            ("epochs", 1, 1_000),
            ("rate", 0, 1),
            ("warmup", 0, 1),
            ("decay", 0, 1),
            ("clip", 0, 1e6),
            ("accumulate", 1, 1_000_000),
            ("lora", 0, 4_096),
            ("held_out", 0, 0.9),
            ("held_out_most", 1, 10**9),
            ("patience", 0, 10**6),
            ("log_every", 1, 10**9),
            ("pool_problems", 1, 10**9),
        ):
            if not least <= getattr(self, name) <= most:
                flag = name.replace("_", "-")
                raise PrmEvalError(f"--{flag} {getattr(self, name)}; expected a number from {least} to {most:,}")
        if self.patience and not (self.held_out or self.held_out_data):
            raise PrmEvalError("--patience stops by held-out figures, but nothing is held out: say --held-out 0.1")
        if self.sharded and (self.lora or self.patience):
            raise PrmEvalError(
                "--lora and --patience keep weights of one process, and --fsdp and --deepspeed have them in parts; "
                "expected one of the two. LoRA runs on several GPUs without them (accelerate launch)"
            )
        if self.lora_alpha is not None and not self.lora:
            raise PrmEvalError("--lora-alpha is the scale of an adapter; expected --lora RANK with it")
        if self.kind == "orm":
            self._of_an_orm()
        parse_weights(self.class_weights)

    def _of_an_orm(self) -> None:
        given = {
            "--neutral": self.neutral != "good",
            "--soft": self.soft,
            "--labels": self.labels is not None,
            "--candidates": self.candidates,
        }
        for flag, there in given.items():
            if there:
                raise PrmEvalError(f"{flag} is about labels of steps; an ORM learns from grades: prm-eval train prm")

    def deciding(self) -> dict[str, Any]:
        """Return the options that decide the weights: those of evaluations only where they may stop the run."""
        skipped = set(UNDECIDING) if self.patience else UNDECIDING | OF_EVALUATIONS
        if self.contamination != "drop":
            skipped |= {"against"}
        return {name: value for name, value in asdict(self).items() if name not in skipped}

    def given(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, for the record."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name == "kind" or getattr(self, each.name) != each.default
        }


def parse_weights(text: str) -> dict[str, float]:
    """Return class weights of ``good=1,neutral=1,bad=3``; empty for "balanced" and for no weights.

    Raises:
        PrmEvalError: It is none of these.
    """
    if text in ("", "balanced"):
        return {}
    found: dict[str, float] = {}
    for part in text.split(","):
        name, sign, number = part.strip().partition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if name not in ("good", "neutral", "bad") or not sign or not 0 < value <= 1e6 or name in found:
            raise PrmEvalError(
                f"--class-weights {text!r}: found {part.strip()!r}; expected balanced, or positive numbers as "
                "good=1,neutral=1,bad=3"
            )
        found[name] = value
    return found
