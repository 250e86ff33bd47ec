"""The options that ``--metadata`` gives to the best-of-N tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.summary import ORACLE
from prm_eval.harness.metadata import options_of, read_metadata, refuse_unknown
from prm_eval.rewards import OPTIONS as MODEL_OPTIONS
from prm_eval.selection.k_measures import read_k_measures
from prm_eval.selection.selectors import DEFAULT_DRAWS, DEFAULT_SEED
from prm_eval.store.rules import Number, Words

DEFAULT_SAMPLES = 8
ROLES = ("orm", "prm")
DEFAULT_PIPELINES = ("first", "majority", "orm", "prm", "weighted_orm", "weighted_prm", ORACLE)
DUMP_DIR = "prm_eval_runs"
BREAKDOWNS: tuple[Literal["subject", "level"], ...] = ("subject", "level")

Positive = Annotated[int, Number(1)]


@dataclass(frozen=True)
class Metadata:
    """The keys of a task that do not concern reward models, as types.

    Attributes:
        n_samples: N, candidates a problem.
        ns: The grid of n, for example 1+8+64; powers of two and N by default.
        selectors: Filter pipelines, for example first+majority+prm.
        problems: A file, or a problem set by name.
        problem_set: The task's own problem set (set in its YAML).
        sets_dir: A folder with local copies of problem sets, in which a task finds its own: NAME.jsonl.
        domain: The row that the task has in a table of several problem sets (set in its YAML).
        replay: A pool or a samples file, from which candidates come in place of generation.
        prompt: How the policy is asked: a prompt by name, or a template of one's own.
        dump_dir: Where candidates are kept.
        grader: A registered grader.
        grades: "own", or "published" (with replay= of a pool that has labels).
        no_answer: Whether candidates without an answer "lose" every comparison or "compete" by their rewards; "auto"
            is lose, and compete under published grades.
        breakdown: The groups whose accuracy at the largest n is reported: subject+level, or none.
        k_measures: avg@k, pass@k, maj@k, pass^k, g-pass@k:TAU, or all, under the filter k_measures; none by default.
        draws: Permutations a problem, where no exact form is affordable.
        selection_seed: The seed of those permutations.
        policy_offload: Whether an hf policy is moved to the CPU while candidates are scored.
        allow_identical_candidates: Whether a policy may give the same text N times.
    """

    n_samples: Positive | None = None
    ns: tuple[Positive, ...] | None = None
    selectors: tuple[str, ...] | None = None
    problems: str | None = None
    problem_set: str | None = None
    sets_dir: str | None = None
    domain: str | None = None
    replay: str | None = None
    prompt: str | None = None
    dump_dir: str = DUMP_DIR
    grader: str = "default"
    grades: Annotated[Literal["own", "published"], Words("own or published")] = "own"
    no_answer: Annotated[Literal["auto", "lose", "compete"], Words("auto, lose or compete")] = "auto"
    breakdown: tuple[Annotated[Literal["subject", "level", "none"], Words("subject, level or none")], ...] = BREAKDOWNS
    k_measures: tuple[str, ...] | None = None
    draws: Positive = DEFAULT_DRAWS
    selection_seed: Annotated[int, Number(0)] = DEFAULT_SEED
    policy_offload: bool = False
    allow_identical_candidates: bool = False


PLAIN_KEYS = tuple(each.name for each in fields(Metadata))
ROLE_KEYS = {f"{role}_{name}" for role in ROLES for name in ("model", *MODEL_OPTIONS)}


@dataclass(frozen=True)
class Options:
    """The options of one task, checked."""

    n_samples: int | None
    ns: tuple[int, ...] | None
    pipelines: tuple[str, ...] | None
    problems: str | None
    replay: str | None
    dump_dir: str
    grader: str
    grades: str
    breakdown: tuple[str, ...]
    draws: int
    seed: int
    allow_identical: bool
    policy_offload: bool = False
    no_answer: str = "auto"
    prompt: str | None = None
    k_measures: tuple[str, ...] = ()
    sets_dir: str | None = None
    domain: str | None = None
    models: dict[str, str] = field(default_factory=dict)
    model_options: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def of_the_set(self) -> dict[str, str]:
        """What a pool says of its problem set besides its name: the options it is graded with, and its domain."""
        graded = {"grader": self.grader} if self.grades == "own" and self.grader.startswith("default:") else {}
        return graded | ({"domain": self.domain} if self.domain else {})

    @property
    def grades_source(self) -> str:
        """Return the name of the grades file to read: own, published, or another grader's."""
        return self.grader if self.grades == "own" and self.grader != "default" else self.grades


def read_options(metadata: Mapping[str, Any]) -> Options:
    """Return the options of a task from its metadata, checked.

    Raises:
        PrmEvalError: A key under our prefixes is unknown, a key looks like a misspelling of ours, or a value is of the
            wrong type.
    """
    refuse_unknown(metadata, {*PLAIN_KEYS, *ROLE_KEYS}, ROLES)
    plain = read_metadata(Metadata, metadata)
    if plain.grades == "published" and not plain.replay:
        raise PrmEvalError("grades=published needs replay=POOL: only stored candidates can have published labels")
    return Options(
        n_samples=plain.n_samples,
        ns=plain.ns or None,
        pipelines=plain.selectors or None,
        problems=plain.problems or plain.problem_set,
        sets_dir=plain.sets_dir,
        domain=plain.domain,
        replay=plain.replay,
        dump_dir=plain.dump_dir,
        grader=plain.grader,
        grades=plain.grades,
        breakdown=tuple(name for name in plain.breakdown if name != "none"),
        draws=plain.draws,
        seed=plain.selection_seed,
        allow_identical=plain.allow_identical_candidates,
        policy_offload=plain.policy_offload,
        no_answer=plain.no_answer,
        prompt=None if plain.prompt is None else str(metadata["prompt"]),  # the space around a template is its own
        k_measures=tuple(each.name for each in read_k_measures(plain.k_measures or ())),
        models={role: str(metadata[f"{role}_model"]) for role in ROLES if metadata.get(f"{role}_model")},
        model_options={role: options_of(metadata, role) for role in ROLES},
    )
