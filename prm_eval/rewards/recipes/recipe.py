"""Recipes: what a reward model is fed and how it is read, as data. One YAML file a family, beside this module or a user's own.

Files are read by :mod:`prm_eval.rewards.recipes.reader`, found by :mod:`prm_eval.rewards.recipes.catalogue`. A recipe
names templates (:mod:`prm_eval.rewards.inputs.renderer`), a head (:mod:`prm_eval.rewards.models.heads`) and a score
rule. It holds no code, and reading one runs none.
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
"""Of a recipe file."""

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
    """Templates, filled in for every candidate.

    Slots are ``{problem}``, ``{step}``, ``{step_k}`` (with "Step k: " before it), ``{k}``, ``{index}``, ``{text}`` and
    ``{separator}``. ``{read}`` reads the head at the token that ends there; text between two ``{cut}`` is tokenised
    together, as the authors did.

    Attributes:
        before: What stands before the first step.
        first: The first step, where it differs from the others.
        step: Each step (PRM).
        between: What stands between two steps.
        after: What stands after the last step.
        text: The whole input (ORM, generative).
        chat: "tokenizer": the checkpoint's own chat template around user (``user``) and assistant turn (the steps or
            ``text``).
        user: The user turn of that template.
        plain: Instead of it where the tokenizer has no chat template (ORM).
        bos: "tokenizer": as the tokenizer adds it by itself; "always": if there is one; "required": there must be one;
            "never".
        trim: The chat template trims its turns (Llama-3).
        marker: The text, one of ``tokens``, that marks steps: refused in problems and steps.
        separator: What ``{separator}`` stands for; the only thing a user may change.
        read_shift: Added to every read position (ReasonEval-7B reads one token earlier).
        read_prefix: Positions are token counts of prefixes tokenised alone, as implicit PRMs' reference takes them.
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
        type: Which function, by name (:mod:`prm_eval.rewards.models.heads`).
        labels: Its outputs; 0 means as the checkpoint's config says.
        prefix: Under which name its tensors are stored.
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
    """How logits become a number.

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
    """How a generative verifier is asked, bounded.

    Attributes:
        max_new_tokens: Of one judgement.
        temperature: Of sampling; 0 is greedy.
        votes: Judgements a candidate.
        stop: Texts that end a judgement.
        start: Text the judgement starts with, after the chat template's generation prompt; needs a completions
            endpoint.
        decision: Text appended to a judgement, after which yes or no is read ("yes_no").
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
    """One reward-model family; see CONTRIBUTING.md for an example.

    Attributes:
        name: Of the family; ``NAME:CHECKPOINT`` uses it for another checkpoint.
        models: Hub ids, exact or with a trailing ``*``; ``*/NAME`` for what is made here and has no organisation.
        architectures: Class names in ``config.json`` that only this family has.
        kind: "prm" or "orm".
        splitter: How this model wants candidates cut; None as the pool says.
        render: See :class:`Render`.
        head: See :class:`Head`.
        score: See :class:`Score`.
        score_type: How the numbers are to be read.
        aggregation: The authors' step aggregation.
        max_tokens: The length limit its authors state; the config's limit holds too.
        tokens: Texts and the id each must have in the tokenizer: a wrong tokenizer is an error at load, not a wrong
            number.
        generate: See :class:`Generate`.
        refused: Why models of this family are not run at all.
        checked_against: In words, what our implementation is compared with.
        source: Where the facts are from.
        notes: What a reader should know.
        digest: SHA-256 of what decides the numbers (all keys but those that say for whom and why), part of a reward
            file's identity.
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
    tokens: TokenIds = field(default_factory=dict)
    generate: Generate | None = None
    refused: str | None = None
    notes: str = ""
    digest: str = computed("")

    def fits(self, hub_id: str) -> bool:
        """Say whether a hub id is one of this family's."""
        return any(fnmatchcase(hub_id, pattern) for pattern in self.models)
