"""Recipes: data that say what a reward model is fed and how it is read.

Each family has one YAML file, beside this module or a user's own. Files are read by
:mod:`prm_eval.rewards.recipes.reader` and found by :mod:`prm_eval.rewards.recipes.catalogue`. A recipe names templates
(:mod:`prm_eval.rewards.inputs.renderer`), a head (:mod:`prm_eval.rewards.models.heads`) and a score rule. It holds no
code, and reading it runs none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from prm_eval.records import Kind, ScoreType
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.store.rules import Number, Text, Words
from prm_eval.store.typed import computed

MAX_BYTES = 100_000
"""The largest size of a recipe file."""

HeadType = Literal["label_mlp", "linear", "value", "lm_rows", "lm_row_mean", "logratio", "generate"]
Rule = Literal["two_way", "classes", "sigmoid", "raw", "by_labels", "logratio", "yes_no", "first_error"]
Bos = Literal["tokenizer", "always", "required", "never"]
Filled = Annotated[str, Text(MAX_BYTES, r"(?s:.*\S.*)", "a text")]
Texts = Annotated[tuple[str, ...], Words("a list of texts")]
Positive = Annotated[int, Number(1), Words("a positive whole number")]
Index = Annotated[int, Number(0)]
Outputs = Annotated[tuple[Index, ...], Words("an index of an output, or a list of them")]
TokenIds = Annotated[Mapping[str, Index], Words("a mapping of token texts to ids")]


@dataclass(frozen=True)
class Render:
    """The templates, which are filled in for every candidate.

    Slots are ``{problem}``, ``{step}``, ``{step_k}`` (with "Step k: " before it), ``{k}``, ``{index}``, ``{text}`` and
    ``{separator}``. ``{read}`` reads the head at the token that ends there. Text between two ``{cut}`` is tokenised
    together, as the model's authors did.

    Attributes:
        before: What stands before the first step.
        first: The first step, where it differs from the others.
        step: Each step (PRM).
        between: What stands between two steps.
        after: What stands after the last step.
        text: The whole input (ORM, generative).
        chat: "tokenizer": the checkpoint's own chat template around the user turn (``user``) and the assistant turn
            (the steps or ``text``).
        user: The user turn of that template.
        plain: The whole input if the tokenizer has no chat template (ORM).
        bos: "tokenizer": as the tokenizer adds it by itself; "always": if there is one; "required": there must be one;
            "never".
        trim: Whether the chat template trims its turns (Llama-3).
        marker: The text, one of ``tokens``, that marks steps and is refused in problems and steps.
        separator: The text for ``{separator}``; the only part that a user may change.
        read_shift: The number added to every read position (ReasonEval-7B reads one token earlier).
        read_prefix: Whether positions are token counts of prefixes that are tokenised alone, as in the reference of
            implicit PRMs.
    """

    before: str = ""
    first: str | None = None
    step: str = ""
    between: str = ""
    after: str = ""
    text: str = ""
    chat: Literal["tokenizer"] | None = None
    user: str = "{problem}"
    plain: str = ""
    bos: Bos = "never"
    trim: bool = False
    marker: str | None = None
    separator: str | None = None
    read_shift: int = 0
    read_prefix: bool = False


@dataclass(frozen=True)
class Head:
    """The function from hidden states to logits.

    Attributes:
        type: The name of the function (:mod:`prm_eval.rewards.models.heads`).
        labels: The number of its outputs; 0 is the number in the checkpoint's config.
        prefix: The prefix of the names of its tensors.
        rows: For ``lm_rows``: token texts and their ids, in the order of the outputs.
        reference: For ``logratio``: the checkpoint of the reference model.
        beta: For ``logratio``: the factor of the log-ratio.
    """

    type: HeadType
    labels: Index = 0
    prefix: str = "score"
    rows: TokenIds = field(default_factory=dict)
    reference: str = ""
    beta: Annotated[float, Number(above=0, most=1e6)] = 1.0


@dataclass(frozen=True)
class Score:
    """The rule by which logits become a number.

    Attributes:
        rule: "two_way" (softmax over exactly ``good`` and ``bad``, kept as log-odds), "classes" (the same over sums of
            classes), "sigmoid" (the logit is the log-odds), "raw", "by_labels" (raw for one label, two_way 1 against 0
            for two), "logratio", "yes_no" or "first_error" (generative).
        good: Indices of outputs that mean right.
        bad: Indices of outputs that mean wrong.
        steps: For ``logratio``: "single" or "accumulative".
    """

    rule: Rule
    good: Outputs = ()
    bad: Outputs = ()
    steps: Literal["single", "accumulative"] = "single"


@dataclass(frozen=True)
class Generate:
    """The settings and bounds of a generative verifier.

    Attributes:
        max_new_tokens: The most tokens of one judgement.
        temperature: The temperature of sampling; 0 is greedy.
        votes: The number of judgements a candidate.
        stop: The texts that end a judgement.
        start: The text that a judgement starts with, after the chat template's generation prompt; it needs a
            completions endpoint.
        decision: The text after a judgement, behind which yes or no is read ("yes_no").
        choices: The texts of (yes, no).
    """

    max_new_tokens: Positive = 4_096
    temperature: Annotated[float, Number(0, 2)] = 0.0
    votes: Positive = 1
    stop: Texts = ()
    start: str = ""
    decision: str = ""
    choices: Texts = ("yes", "no")


@dataclass(frozen=True)
class Recipe:
    """The recipe of a reward-model family; see CONTRIBUTING.md for an example.

    Attributes:
        name: The name of the family; ``NAME:CHECKPOINT`` uses its recipe for another checkpoint.
        models: Hub ids, exact or with a trailing ``*``; ``*/NAME`` for models that prm_eval trains, which have no
            organisation.
        architectures: Class names in ``config.json`` that only this family has.
        kind: "prm" or "orm".
        splitter: The way in which candidates are cut into steps; None is the pool's own.
        render: See :class:`Render`.
        head: See :class:`Head`.
        score: See :class:`Score`.
        score_type: The meaning of the numbers.
        aggregation: The authors' step aggregation.
        max_tokens: The length limit that the authors state; the config's limit holds too.
        threshold: The probability below which the authors call a step wrong, where they say another than 0.5. It
            decides no reward, only where ``prm-eval evaluate`` puts the first mistake.
        tokens: Texts and the id that each must have in the tokenizer: a wrong tokenizer is an error at load, not a
            wrong number.
        generate: See :class:`Generate`.
        refused: Why models of this family are not run at all.
        checked_against: The reference of our implementation, in words.
        source: The sources of the facts.
        notes: Notes for the reader.
        digest: The SHA-256 of all keys that decide the numbers, which is part of a reward file's identity.
    """

    name: Filled
    kind: Kind
    checked_against: Filled
    source: Filled
    models: Texts = ()
    architectures: Texts = ()
    splitter: str | None = None
    render: Render = field(default_factory=Render)
    head: Head = field(default_factory=lambda: Head("linear"))
    score: Score = field(default_factory=lambda: Score("raw"))
    score_type: ScoreType = "logodds"
    aggregation: Aggregation = "last"
    max_tokens: Positive | None = None
    threshold: Annotated[float, Number(0, 1)] | None = None
    tokens: TokenIds = field(default_factory=dict)
    generate: Generate | None = None
    refused: str | None = None
    notes: str = ""
    digest: str = computed("")

    def fits(self, hub_id: str) -> bool:
        """Say whether a hub id belongs to this family."""
        return any(fnmatchcase(hub_id, pattern) for pattern in self.models)
