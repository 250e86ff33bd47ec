"""The options that ``--metadata`` gives to the step tasks (ProcessBench, PRMBench)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.jobs import Missing
from prm_eval.evaluation.stepwise.resampling import DEFAULT_DRAWS
from prm_eval.evaluation.stepwise.thresholds import Ask, parse_ask
from prm_eval.harness.critics import Reading
from prm_eval.harness.metadata import options_of, read_metadata, refuse_unknown
from prm_eval.harness.options import DUMP_DIR, ROLE_KEYS, ROLES
from prm_eval.store.rules import Number, Words

JudgedBy = Literal["prm", "orm", "critic"]
"""Who judges: a PRM, an ORM that is asked about every beginning of a solution, or the model that lm_eval runs."""


@dataclass(frozen=True)
class StepMetadata:
    """The keys of a step task that do not concern reward models, as types.

    Attributes:
        suite: The format of the solutions (set in the task's YAML).
        subset: The group that the task is (set in its YAML).
        problems: A file, a folder or a glob of labelled solutions in place of the hub.
        strip_numbers: Whether "Step 3. " or "3. " in front of a step goes.
        step_set: The folder that the step set is kept in, with its rewards.
        threshold: A step is wrong if its score is below it: recipe, a number, or chosen:GROUP[:exact].
        missing: Whether solutions that are not scored stop the evaluation ("refuse") or are never a match ("wrong").
            "auto" refuses for reward models; a critic's answer that cannot be read is a wrong one.
        votes: Answers of a critic a solution.
        answers: What is read in a critic's box: an "integer" alone, as published, or also "words" (Step 3,
            paragraph_3).
        answer_base: The number that the critic gives the first step.
        resamples: Resamples of the limits.
        dump_dir: The folder of the journal that keeps a critic's answers as they come.
    """

    suite: Annotated[Literal["processbench", "prmbench"], Words("processbench or prmbench")]
    subset: str = ""
    problems: str | None = None
    strip_numbers: bool = False
    step_set: str | None = None
    threshold: str = "recipe"
    missing: Annotated[Literal["auto", "refuse", "wrong"], Words("auto, refuse or wrong")] = "auto"
    votes: Annotated[int, Number(1, 1_000)] = 1
    answers: Annotated[Literal["integer", "words"], Words("integer or words")] = "integer"
    answer_base: Annotated[int, Number(0, 1)] = 0
    resamples: Annotated[int, Number(2)] = DEFAULT_DRAWS
    dump_dir: str = DUMP_DIR


STEP_KEYS = tuple(each.name for each in fields(StepMetadata))


@dataclass(frozen=True)
class StepOptions:
    """The options of one step task, checked.

    Attributes:
        plain: Those that do not concern a reward model.
        ask: The threshold that is asked for.
        judged_by: Who judges the steps.
        model: The reward model; None for a critic.
        model_options: Its options.
    """

    plain: StepMetadata
    ask: Ask
    judged_by: JudgedBy = "critic"
    model: str | None = None
    model_options: dict[str, Any] = field(default_factory=dict)

    @property
    def missing(self) -> Missing:
        """What happens with solutions that are not scored."""
        if self.plain.missing == "auto":
            return "wrong" if self.judged_by == "critic" else "refuse"
        return self.plain.missing

    @property
    def reading(self) -> Reading:
        """How a critic's answers are read."""
        return Reading(
            every_step=self.plain.suite == "prmbench",
            words=self.plain.answers == "words",
            base=self.plain.answer_base,
        )


def read_step_options(metadata: Mapping[str, Any]) -> StepOptions:
    """Return the options of a step task from its metadata, checked.

    Raises:
        PrmEvalError: A key is unknown, a value is of the wrong type, or options contradict each other.
    """
    refuse_unknown(metadata, {*STEP_KEYS, *ROLE_KEYS}, ROLES)
    plain = read_metadata(StepMetadata, metadata)
    named = [role for role in ROLES if metadata.get(f"{role}_model")]
    if len(named) > 1:
        raise PrmEvalError("a step task has one judge: prm_model=... or orm_model=..., not both")
    try:
        ask = parse_ask(plain.threshold)
    except PrmEvalError as error:
        raise as_metadata(error) from None
    if not named:
        return StepOptions(plain, ask)
    role: JudgedBy = "prm" if named == ["prm"] else "orm"
    if plain.votes > 1:
        raise PrmEvalError(f"votes={plain.votes} is for critics; a generative verifier has {role}_votes={plain.votes}")
    return StepOptions(plain, ask, role, str(metadata[f"{role}_model"]), options_of(metadata, role))


def as_metadata(error: PrmEvalError, role: str = "prm") -> PrmEvalError:
    """Return an error of the other door with its options as they are spelt behind this one."""
    said = str(error)
    for flag, key in (("threshold", "threshold"), ("missing", "missing"), ("splitter", f"{role}_splitter")):
        said = said.replace(f"--{flag} ", f"{key}=")
    return PrmEvalError(said.replace("a larger --max-tokens", f"a larger {role}_max_tokens"))
