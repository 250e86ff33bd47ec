"""Metadata of tasks, read by the types of a dataclass: lm_eval hands over values as it guesses them from words.

lm_eval merges ``--metadata`` with ``--model_args``, so keys that are not ours are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from prm_eval.errors import PrmEvalError
from prm_eval.rewards import OPTIONS as MODEL_OPTIONS
from prm_eval.store.typed import Malformed, build, hints_of, nearest

FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)

Read = TypeVar("Read")


def read_metadata(kind: type[Read], metadata: Mapping[str, Any]) -> Read:
    """Return the keys of a dataclass from metadata, checked against its types and rules.

    Raises:
        PrmEvalError: A value is of the wrong type, or against a rule.
    """
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    given = {key: _spelt(kind, key, metadata[key]) for key in names if _given(kind, metadata, key)}
    try:
        return build(kind, given, own=True)
    except Malformed as error:
        raise PrmEvalError(
            "; ".join(f"{each.where}={each.found}; expected {each.expected}" for each in error.faults)
        ) from None


def refuse_unknown(metadata: Mapping[str, Any], known: Collection[str], roles: Collection[str]) -> None:
    """Refuse what must be a misspelling of ours: a wrong run that nobody notices.

    Args:
        metadata: The metadata.
        known: Our keys.
        roles: The roles of reward models; every key with one of these prefixes is ours.

    Raises:
        PrmEvalError: A key under our prefixes is unknown, a key looks like one of ours, or an option of a reward model
            is given without the model.
    """
    for key in metadata:
        if key in known or not isinstance(key, str):
            continue
        ours = key.startswith(tuple(f"{role}_" for role in roles))
        near = nearest(key, sorted(known), cutoff=0.6 if ours else 0.87)
        if ours or near:
            guess = f" Did you mean {near}?" if near else ""
            raise PrmEvalError(f"unknown --metadata key {key!r}.{guess} Known: {', '.join(sorted(known))}")
    for role in roles:
        given = options_of(metadata, role)
        if given and not metadata.get(f"{role}_model"):
            raise PrmEvalError(f"{role}_{next(iter(given))} is given without {role}_model")


def without_effect(metadata: Mapping[str, Any], others: Collection[str], where: str) -> str | None:
    """Return the warning of options that mean something to our other tasks only; None where there are none.

    No error, as one command may run tasks of both kinds.

    Args:
        metadata: The metadata of a task.
        others: The keys of the other kind of task that this one does not have.
        where: Which tasks those are.
    """
    given = sorted(key for key in others if metadata.get(key) is not None)
    if not given:
        return None
    return f"--metadata {', '.join(f'{key}=' for key in given)}: an option of {where}, which does nothing here"


def options_of(metadata: Mapping[str, Any], role: str) -> dict[str, Any]:
    """Return the options of the reward model of a role, without its prefix."""
    return {name: metadata[f"{role}_{name}"] for name in MODEL_OPTIONS if metadata.get(f"{role}_{name}") is not None}


def _given(kind: type, metadata: Mapping[str, Any], key: str) -> bool:
    """Say whether a key has a value; for texts and flags an empty text is no value."""
    value, hint = metadata.get(key), _without_null(hints_of(kind)[key])
    counted = _base(hint) is int or get_origin(hint) is tuple
    return value is not None and (counted or value != "")


def _spelt(kind: type, key: str, value: Any) -> Any:
    """Return a value from the command line as a value of the key's JSON type.

    On a command line every value is text, or guessed from text. A value that cannot be converted is returned as it is,
    and the check against the type says what is wrong with it.
    """
    hint = _without_null(hints_of(kind)[key])
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
