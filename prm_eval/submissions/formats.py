"""The JSON files of a results folder, as types.

``prm-eval check`` holds files against them, and ``results/schema/`` is made from them, docstrings included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from prm_eval.pools.format import PoolInfo
from prm_eval.records import Kind, LabelKind, ScoreType
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.stepsets.format import LabelSource
from prm_eval.store.rules import Number, Size, Text
from prm_eval.store.typed import rest
from prm_eval.texts.steps import Splitter

SUBMISSION = "prm_eval.rewards/2"
VERIFICATION = "prm_eval.verification/1"
POOL_REF = "prm_eval.pool-ref/1"

# An organisation has no double underscore and no underscore at its end: the first "__" of a folder's name ends it.
ORG = r"[A-Za-z0-9](?:[A-Za-z0-9.-]|_(?=[A-Za-z0-9.-])){0,95}"
MODEL = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
NAME_WORDS = "letters, digits, dot, hyphen and underscore (ASCII), starting with a letter or digit"

PoolId = Annotated[str, Text(96, MODEL, NAME_WORDS)]
ModelId = Annotated[str, Text(193, f"{ORG}/{MODEL}", f"ORGANISATION/MODEL, each of {NAME_WORDS}")]
Sha256 = Annotated[str, Text(64, "[0-9a-f]{64}", "64 hexadecimal digits (SHA-256)")]
Commit = Annotated[str, Text(40, "[0-9a-f]{40}", "a commit of 40 hexadecimal digits")]
Line = Annotated[str, Text(300, r"[^\n\t]*", "one line", symbols=False)]
Word = Annotated[str, Text(100, r"[^\n\t]*", "one line", symbols=False)]
Filled = Annotated[str, Text(300, r"[^\n\t]*\S[^\n\t]*", "one line that is not blank", symbols=False)]
Licence = Annotated[str, Text(100, r"[A-Za-z0-9][A-Za-z0-9 .+()-]*", "an SPDX name: letters, digits, space and .+()-")]
Count = Annotated[int, Number(0, 2**63 - 1)]
Amount = Annotated[float, Number(0)]
# the board divides by them
Seconds = Annotated[float, Number(0, 1e9)]
Versions = Annotated[dict[str, Word], Size(1, 50)]
TriState = Literal["yes", "no", "unknown"]
Parameters = Annotated[int, Number(1, 10**15)]
Headline = Literal["mean_f1", "f1", "prm_score", "step_auc"]
"""The measures that a board of a step set may rank by (:mod:`prm_eval.evaluation.stepwise`)."""
# rewards are no larger
Threshold = Annotated[float, Number(-1e250, 1e250)]
FIGURE = r"(?:[^:=,\n\t]{1,100}:)?(?:error_acc|correct_acc)"
PerCent = Annotated[
    str, Text(8, r"(?:100(?:\.0{1,4})?|[0-9]{1,2}(?:\.[0-9]{1,4})?)", "per cent as printed, such as 85.9")
]
Date = Annotated[str, Text(10, r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])", "a date such as 2026-01-31")]


@dataclass(frozen=True)
class TrainedOn:
    """Whether the reward model, or a model it was made from, was trained on what the board measures with.

    Attributes:
        math_test: Problems of the MATH test set (the 500 of Lightman et al. among them), or solutions to them.
        prm800k: PRM800K, whose phases hold MATH test problems.
        this_pool: Candidates of this pool, or labels of them; choosing hyper-parameters on it counts.
    """

    math_test: TriState
    prm800k: TriState
    this_pool: TriState


@dataclass(frozen=True)
class Disclosure:
    """What no machine can know of a reward model; ``prm-eval submit-form`` asks for it.

    Attributes:
        licence: Of the weights, as an SPDX name where there is one.
        base_model: The model it was trained from, as a hub id; "none" for a rule.
        training_data: The data sets it was trained on, one entry each; "none" for a rule, "unknown" is an answer too.
        trained_on: See there.
        contact: Whom to ask: a hub or GitHub name, a mail address.
        notes: What else a reader of the board should know.
        parameters: How many parameters the reward model has; absent for a rule.
        date: The day of the submission.
        figures: What is published of the model on this step set, as printed: "[GROUP:]error_acc" or "correct_acc", and
            per cent. Nothing is computed from it; a figure that no whole number of solutions gives is a fault.
    """

    licence: Licence
    base_model: Filled
    training_data: Annotated[list[Filled], Size(1, 50)]
    trained_on: TrainedOn
    contact: Filled
    notes: Annotated[str, Text(2_000)] | None = None
    parameters: Parameters | None = None
    date: Date | None = None
    figures: Annotated[dict[str, PerCent], Size(0, 100)] | None = None


@dataclass(frozen=True)
class ModelEntry:
    """What identifies a reward model; other fields of its own are allowed,
    called by identifiers of at most 40 characters.

    Attributes:
        id: Hub id, or the name it is submitted under.
        revision: The commit of the hub repository; null for weights that are not on the hub, and for rules.
        version: Of a rule without weights.
        weights: "none: a rule" for a rule.
        weights_sha256: SHA-256 of each weight file, for weights that are not on the hub.
        config_sha256: SHA-256 of their config.json.
        recipe: The recipe that said how the model is fed and read.
        recipe_sha256: Hash of its content.
        dtype: Of the computation.
        device: Kind of device.
        max_tokens: Longer candidates were refused.
        versions: Of the software that the numbers depend on.
        others: The fields of its own, as they stand there.
    """  # noqa: D205 - one sentence, which results/schema has

    id: ModelId
    revision: Commit | None = None
    version: Count | None = None
    weights: Word | None = None
    weights_sha256: Annotated[dict[str, Sha256], Size(0, 500)] = field(default_factory=dict)
    config_sha256: Sha256 | None = None
    recipe: PoolId | None = None
    recipe_sha256: Sha256 | None = None
    dtype: Word | None = None
    device: Word | None = None
    max_tokens: Count | None = None
    versions: Annotated[dict[str, Word], Size(0, 50)] = field(default_factory=dict)
    others: Mapping[str, Any] = rest()

    def get(self, name: str) -> Any:
        """Return a field by its name in the file, including those of its own; None where it is absent."""
        return self.others[name] if name in self.others else getattr(self, name, None)


@dataclass(frozen=True)
class RunEntry:
    """What a scoring run did and cost.

    Attributes:
        seconds: Of the last run; where ``resumed`` is not 0, earlier ones took more.
        resumed: Candidates that earlier, interrupted runs had scored.
        candidates: Of the pool.
        tokens: Of all rendered inputs together; null for a model that reads no tokens.
        refused: How many candidates were refused, by reason.
        device_name: The processor or GPU, by its maker's name.
        versions: Of Python and the libraries.
        engine: What the engine counted.
    """

    seconds: Seconds
    resumed: Count
    candidates: Count
    tokens: Count | None
    refused: Annotated[dict[str, Count], Size(0, 200)]
    device_name: Line
    versions: Versions
    engine: Annotated[dict[str, Any], Size(0, 100)] = field(default_factory=dict)


@dataclass(frozen=True)
class SubmissionFile:
    """``submission.json``: one reward model on one pool; everything but the rewards, and no figure of merit.

    Attributes:
        schema: Version of this format.
        name: ORGANISATION/MODEL, as the folder says.
        kind: "prm" (a reward a step) or "orm" (one a candidate).
        score_type: How the numbers are to be read.
        aggregation: How step rewards become one; declared here, not chosen after seeing results.
        splitter: How candidates were cut; null: as the pool says.
        pool_hash: Content hash of the pool.
        model: See there.
        run: See there.
        disclosure: See there; ``prm-eval score`` leaves it null.
        threshold: For a step set: a step is wrong if its score is below it (a probability; a raw number as it stands).
            Declared here, not chosen on the set. Absent: the recipe's own, or 0.5 on probabilities.
    """

    schema: Literal["prm_eval.rewards/2"]
    name: ModelId
    kind: Kind
    score_type: ScoreType
    aggregation: Aggregation
    splitter: Splitter | None
    pool_hash: Sha256
    model: ModelEntry
    run: RunEntry
    disclosure: Disclosure | None = None
    threshold: Threshold | None = None


@dataclass(frozen=True)
class RewardRow:
    """One row of ``rewards.parquet``; all of the pool's candidates, in its order.

    Attributes:
        problem_id: Of the pool.
        candidate_id: Slot and text hash, of the pool.
        step_rewards: One number a step (PRM) or one (ORM); null where refused.
        n_steps: How many they are.
        n_tokens: Of the rendered input.
        input_hash: SHA-256 of the rendered token ids as little-endian 32-bit integers.
        refusal: Why there is no reward; null where there is one.
        reward: The aggregated number, optional: it is recomputed, and must be equal.
    """

    problem_id: str
    candidate_id: str
    step_rewards: list[float] | None
    n_steps: Count
    n_tokens: Count | None = None
    input_hash: Sha256 | None = None
    refusal: Line | None = None
    reward: float | None = None


@dataclass(frozen=True)
class VerificationFile:
    """``verification.json``: what re-scoring with the model itself found;
    written by ``prm-eval verify``, by a maintainer.

    Attributes:
        schema: Version of this format.
        pool_hash: Content hash of the pool.
        rewards_sha256: Of ``rewards.parquet``; another file is not what was verified.
        model: The reward model as it was loaded for this.
        scope: "sample" or "all".
        seed: Of the sample, chosen after the submission was fixed; null where all were re-scored.
        compared: Candidates re-scored.
        of: Candidates of the pool.
        scale: On which differences are measured: "probability", or "raw" for numbers that are none.
        tolerance: The largest difference that is called equal; the mean may be an eighth of it. Measured here (noise).
        max_difference: The largest difference found.
        mean_difference: The mean over the candidates of the mean over their steps.
        beyond: Candidates with a difference beyond the tolerance, with another refusal, or another rendered input.
        inputs_differ: Those among them whose rendered input is another.
        worst: The candidates that differ most, at most 20.
        detection: The probability with which a sample of this size catches an edit of one candidate in a hundred.
        verdict: "agrees" or "differs".
        verified_by: Who ran it.
        device_name: Of the machine.
        versions: Of the software.
        noise: The largest difference between runs of the model on this machine, in other batches, and in float32 where
            the model ran in half precision; null in files of before 0.2, whose tolerance was that of the dtypes.
        headline_n: The n of the figures below, by which the board ranks.
        leeway: The most points of best-of-n that the differences can be worth, with 95 % confidence; 0 where all were
            re-scored, as the board's figures are then from verified.parquet.
        follows_grade: How far the signs of differences follow the grade within problems, in standard errors.
        gained: How many points best-of-n by the submitted rewards is above that by the model's own; null for a sample.
        aggregation: The step aggregation of the submission, of which leeway and gained are.
        score_type: The score type of the submission.
        splitter: The splitter of the submission; null for the pool's own.
        verified_sha256: Of ``verified.parquet``, which has the rewards that the model gave when all were re-scored;
            null where they are those submitted, or a sample was drawn.
        measure: Of a step set: the measure that leeway and gained are points of; null for pools.
        threshold: Of a step set: below which a step is called wrong.
        calls_changed: Of a step set: solutions with a step that is called otherwise than by the submitted scores.
    """  # noqa: D205 - one sentence, which results/schema has

    schema: Literal["prm_eval.verification/1"]
    pool_hash: Sha256
    rewards_sha256: Sha256
    model: Annotated[dict[str, Any], Size(1, 100)]
    scope: Literal["sample", "all"]
    seed: Count | None
    compared: Count
    of: Count
    scale: Literal["probability", "raw"]
    tolerance: Amount
    max_difference: Amount | None
    mean_difference: Amount | None
    beyond: Count
    inputs_differ: Count
    worst: Annotated[list[dict[str, Any]], Size(0, 20)]
    detection: Annotated[float, Number(0, 1)]
    verdict: Literal["agrees", "differs"]
    verified_by: Filled
    device_name: Line
    versions: Versions
    noise: Amount | None = None
    headline_n: Count | None = None
    leeway: Annotated[float, Number(0, 100)] | None = None
    follows_grade: Annotated[float, Number(-1e9, 1e9)] | None = None
    gained: Annotated[float, Number(-100, 100)] | None = None
    aggregation: str | None = None
    score_type: str | None = None
    splitter: str | None = None
    verified_sha256: Sha256 | None = None
    measure: Headline | None = None
    threshold: Threshold | None = None
    calls_changed: Count | None = None


@dataclass(frozen=True)
class HubRef:
    """Where a pool is that is not shipped.

    Attributes:
        dataset: Id of the hub's dataset repository.
        revision: Its commit.
    """

    dataset: ModelId
    revision: Commit


@dataclass(frozen=True)
class StepSetRef:
    """What makes a pool of one slot a step set of the board: its labels.

    Attributes:
        content_hash: Of texts and labels together.
        name: As ``stepset.json`` says.
        labels: What the labels say.
        label_source: Who made them.
        headline: The measure that the board ranks by, which follows from the labels.
    """

    content_hash: Sha256
    name: Filled
    labels: LabelKind
    label_source: LabelSource
    headline: Headline


@dataclass(frozen=True)
class PoolRef:
    """``pools/<pool-id>.json``: a pool of the board.

    Attributes:
        schema: Version of this format.
        pool_id: As the file is called.
        content_hash: Of the pool.
        title: For readers.
        path: The pool's folder, relative to the results folder, where it is shipped.
        hub: Where it is to be had otherwise.
        headline_n: The n the board ranks by; by default a quarter of the slots.
        about: What the pool is, and what may not be concluded from it: a sentence or two under its title on the board.
        step_set: Where it is a step set, whose board asks who finds the mistake.
    """

    schema: Literal["prm_eval.pool-ref/1"]
    pool_id: PoolId
    content_hash: Sha256
    title: Filled
    path: Annotated[str, Text(200, f"pools/{MODEL}", "pools/<pool-id>")] | None = None
    hub: HubRef | None = None
    headline_n: Annotated[int, Number(1)] | None = None
    about: Annotated[str, Text(600, r"[^\n\t]*\S[^\n\t]*", "one line that is not blank", symbols=False)] | None = None
    step_set: StepSetRef | None = None


FILES: dict[str, tuple[str, Any]] = {
    "submission": ("submission.json", SubmissionFile),
    "rewards-row": ("a row of rewards.parquet", RewardRow),
    "verification": ("verification.json", VerificationFile),
    "pool-ref": ("pools/<pool-id>.json", PoolRef),
    "pool": ("pools/<pool-id>/pool.json", PoolInfo),
    "disclosure": ("the answers that prm-eval submit-form reads", Disclosure),
}
"""The name of each schema in ``results/schema/``, what it describes, and the type it is made from."""
