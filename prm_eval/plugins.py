"""Plugins: the reward models, selectors, graders and problem sets that are installed.

Ours and those of third parties register through the same entry-point groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from prm_eval.errors import PrmEvalError

GROUPS = {
    "reward model": "prm_eval.reward_models",
    "selector": "prm_eval.selectors",
    "grader": "prm_eval.graders",
    "problem set": "prm_eval.problem_sets",
}


@dataclass(frozen=True)
class Plugin:
    """One installed extension: what it is, its name, where its code is, and which package brought it."""

    what: str
    name: str
    target: str
    package: str
    version: str
    entry: EntryPoint


def installed(what: str) -> dict[str, Plugin]:
    """Return the installed extensions of one sort by name.

    Args:
        what: "reward model", "selector", "grader" or "problem set".

    Raises:
        PrmEvalError: Two packages register the same name; neither is preferred silently.
    """
    found: dict[str, Plugin] = {}
    for entry in entry_points(group=GROUPS[what]):
        package = entry.dist.name if entry.dist else "?"
        version = entry.dist.version if entry.dist else "?"
        plugin = Plugin(what, entry.name, entry.value, package, version, entry)
        other = found.get(entry.name)
        if other is not None and other.target != plugin.target:
            raise PrmEvalError(
                f"two packages register the {what} {entry.name!r}: {other.package} ({other.target}) and "
                f"{plugin.package} ({plugin.target}). Uninstall one, or name the object as package.module:Object."
            )
        found[entry.name] = plugin
    return dict(sorted(found.items()))


def load(what: str, name: str) -> Any:
    """Return the object registered under a name, or named as ``package.module:Object``.

    Raises:
        PrmEvalError: No such extension, or its import failed; the message lists what is installed.
    """
    known = installed(what)
    if name in known:
        try:
            return known[name].entry.load()
        except (ImportError, AttributeError) as error:
            plugin = known[name]
            raise PrmEvalError(
                f"the {what} {name!r} ({plugin.target}, package {plugin.package}) cannot be imported: {error}"
            ) from error
    if is_object_path(name):
        return _import_object(what, name)
    close = get_close_matches(name, known, n=1)
    guess = f" Did you mean {close[0]!r}?" if close else ""
    raise PrmEvalError(
        f"no {what} named {name!r}.{guess} Installed: {', '.join(known) or 'none'} (see: prm-eval plugins)."
    )


def is_object_path(name: str) -> bool:
    """Say whether a name has the form ``package.module:Object``."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _import_object(what: str, path: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise PrmEvalError(f"the {what} {path!r} cannot be imported: {error}") from error
