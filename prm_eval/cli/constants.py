"""Constants of other modules, read from their sources: a help text must not load what only the command needs."""

from __future__ import annotations

import ast
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

# imports that are followed from one module of ours to the next
_DEEPEST = 8


class _NotPlainError(Exception):
    """A constant that is more than a literal: its module has to say what it is."""


def constant(module: str, name: str) -> Any:
    """Return a constant of a module of ours, which is loaded only where its source does not say what it is.

    A source says it by a literal, by names of such, by the values of a ``Literal``, or by an import from another
    module of ours. A mapping gives the tuple of its keys.

    Args:
        module: The module's name.
        name: The constant's name; that of a field's default is ``CLASS.FIELD``.
    """
    try:
        return _read(module, name, 0)
    except _NotPlainError:
        return attrgetter(name)(import_module(module))


@lru_cache(maxsize=64)
def _body(module: str) -> list[ast.stmt]:
    package, *parts = module.split(".")
    place = Path(import_module(package).__path__[0], *parts)
    for file in (place.with_suffix(".py"), place / "__init__.py"):
        if file.is_file():
            return ast.parse(file.read_bytes()).body
    raise _NotPlainError


def _read(module: str, name: str, depth: int) -> Any:
    first, _, field = name.partition(".")
    for node in _body(module):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("prm_eval"):
            for each in node.names:
                if (each.asname or each.name) == first and depth < _DEEPEST:
                    return _read(str(node.module), each.name + ("." + field) * bool(field), depth + 1)
        if field and isinstance(node, ast.ClassDef) and node.name == first:
            return _assigned(module, node.body, field, depth)
    return _assigned(module, _body(module), first, depth) if not field else _give_up()


def _assigned(module: str, body: list[ast.stmt], name: str, depth: int) -> Any:
    """Return the value of the one assignment to a name."""
    values: list[ast.expr] = []
    for node in body:
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            values += _given(node.target, node.value, name)
        elif isinstance(node, ast.Assign):
            values += [found for target in node.targets for found in _given(target, node.value, name)]
    if len(values) != 1 or depth > _DEEPEST:
        _give_up()
    return _value(module, values[0], depth + 1)


def _given(target: ast.expr, value: ast.expr, name: str) -> list[ast.expr]:
    """Return what an assignment gives a name: its value, or a part of it, as in ``ONE, TWO = 1, 2``."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return [found for pair in zip(target.elts, value.elts, strict=True) for found in _given(*pair, name)]
    return [value] if isinstance(target, ast.Name) and target.id == name else []


def _value(module: str, node: ast.expr, depth: int) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_value(module, each, depth) for each in node.elts)
    if isinstance(node, ast.Dict):
        return tuple(_value(module, key, depth) if key is not None else _give_up() for key in node.keys)
    if isinstance(node, ast.Name):
        return _read(module, node.id, depth)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
        found = _value(module, node.slice, depth)
        return found if isinstance(found, tuple) else (found,)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "get_args"
        and len(node.args) == 1
    ):
        return _value(module, node.args[0], depth)
    return _give_up()


def _give_up() -> Any:
    raise _NotPlainError
