"""The options that ``--metadata`` gives to our tasks.

lm_eval merges ``--metadata`` with ``--model_args``, so keys that are not ours are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.summary import ORACLE
from prm_eval.rewards import OPTIONS as MODEL_OPTIONS
from prm_eval.selection.selectors import DEFAULT_DRAWS, DEFAULT_SEED
from prm_eval.store.rules import Number, Words
from prm_eval.store.typed import Malformed, build, hints_of, nearest

DEFAULT_SAMPLES = 8
ROLES = ("orm", "prm")
DEFAULT_PIPELINES = ("first", "majority", "orm", "prm", "weighted_orm", "weighted_prm", ORACLE)
DUMP_DIR = "prm_eval_runs"
BREAKDOWNS: tuple[Literal["subject", "level"], ...] = ("subject", "level")
FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)

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
        replay: A pool or a samples file, from which candidates come in place of generation.
        dump_dir: Where candidates are kept.
        grader: A registered grader.
        grades: "own", or "published" (with replay= of a pool that has labels).
        no_answer: Whether candidates without an answer "lose" every comparison or "compete" by their rewards; "auto"
            is lose, and compete under published grades.
        breakdown: The groups whose accuracy at the largest n is reported: subject+level, or none.
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
    replay: str | None = None
    dump_dir: str = DUMP_DIR
    grader: str = "default"
    grades: Annotated[Literal["own", "published"], Words("own or published")] = "own"
    no_answer: Annotated[Literal["auto", "lose", "compete"], Words("auto, lose or compete")] = "auto"
    breakdown: tuple[Annotated[Literal["subject", "level", "none"], Words("subject, level or none")], ...] = BREAKDOWNS
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
    models: dict[str, str] = field(default_factory=dict)
    model_options: dict[str, dict[str, Any]] = field(default_factory=dict)

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
    _refuse_unknown(metadata)
    try:
        plain = build(
            Metadata, {key: _spelt(key, metadata[key]) for key in PLAIN_KEYS if _given(metadata, key)}, own=True
        )
    except Malformed as error:
        raise PrmEvalError(
            "; ".join(f"{each.where}={each.found}; expected {each.expected}" for each in error.faults)
        ) from None
    if plain.grades == "published" and not plain.replay:
        raise PrmEvalError("grades=published needs replay=POOL: only stored candidates can have published labels")
    return Options(
        n_samples=plain.n_samples,
        ns=plain.ns or None,
        pipelines=plain.selectors or None,
        problems=plain.problems or plain.problem_set,
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
        models={role: str(metadata[f"{role}_model"]) for role in ROLES if metadata.get(f"{role}_model")},
        model_options={
            role: {
                name: metadata[f"{role}_{name}"] for name in MODEL_OPTIONS if metadata.get(f"{role}_{name}") is not None
            }
            for role in ROLES
        },
    )


def _given(metadata: Mapping[str, Any], key: str) -> bool:
    """Say whether a key has a value; for texts and flags an empty text is no value."""
    value, hint = metadata.get(key), _without_null(hints_of(Metadata)[key])
    counted = _base(hint) is int or get_origin(hint) is tuple
    return value is not None and (counted or value != "")


def _spelt(key: str, value: Any) -> Any:
    """Return a value from the command line as a value of the key's JSON type.

    On a command line every value is text, or guessed from text. A value that cannot be converted is returned as it is,
    and the check against the type says what is wrong with it.
    """
    hint = _without_null(hints_of(Metadata)[key])
    if get_origin(hint) is tuple:
        # lm_eval's --metadata cuts at commas itself, so lists are written with plus signs there: ns=1+8+64
        parts = value if isinstance(value, (list, tuple)) else re.split(r"[,+]", str(value))
        return [_word(part, get_args(hint)[0]) for part in parts if str(part).strip()]
    return _word(value, hint)


def _word(value: Any, hint: Any) -> Any:
    text = str(value).strip()
    if _base(hint) is bool:
        return FLAGS.get(text.lower(), value)
    if _base(hint) is int:
        return int(text) if WHOLE.fullmatch(text) else value
    return text


def _base(hint: Any) -> Any:
    """Return a type without its rules."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _without_null(hint: Any) -> Any:
    """Return X of ``X | None``, and any other type as it is."""
    members = [each for each in get_args(hint) if each is not type(None)]
    return members[0] if get_origin(hint) in (Union, UnionType) else hint


def _refuse_unknown(metadata: Mapping[str, Any]) -> None:
    known = {*PLAIN_KEYS, *ROLE_KEYS}
    for key in metadata:
        if key in known or not isinstance(key, str):
            continue
        ours = key.startswith(tuple(f"{role}_" for role in ROLES))
        near = nearest(key, sorted(known), cutoff=0.6 if ours else 0.87)
        if ours or near:
            guess = f" Did you mean {near}?" if near else ""
            raise PrmEvalError(f"unknown --metadata key {key!r}.{guess} Known: {', '.join(sorted(known))}")
    for role in ROLES:
        given = [name for name in MODEL_OPTIONS if metadata.get(f"{role}_{name}") is not None]
        if given and not metadata.get(f"{role}_model"):
            raise PrmEvalError(f"{role}_{given[0]} is given without {role}_model")
