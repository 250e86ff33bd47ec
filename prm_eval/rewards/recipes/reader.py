"""The reader of recipe files, whose faults name the file, the key, what was found and what was expected."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.rewards.recipes.plain_yaml import read_yaml
from prm_eval.rewards.recipes.recipe import MAX_BYTES, Recipe, Render
from prm_eval.rewards.recipes.template import parse_template
from prm_eval.store.jsonl import canonical_json
from prm_eval.store.rules import A_TEXT, bad_characters
from prm_eval.store.safe_json import read_bytes
from prm_eval.store.typed import Malformed, build
from prm_eval.texts.steps import SPLITTERS

UNHASHED = frozenset({"models", "architectures", "checked_against", "source", "notes", "threshold"})
"""The keys that are not part of a recipe's identity.

They say whom a recipe is for and why, and decide no reward: rewards stay those of the same recipe if a model or a
better word is added.
"""

REQUIRED = ("name", "kind", "checked_against", "source")
HINT = "See CONTRIBUTING.md, A reward model."
_STEP = ("problem", "step", "step_k", "k", "index", "separator", "read", "cut", "mark")
_FIXED = ("separator", "cut", "mark")
SLOTS_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "steps": {
        "before": ("problem", *_FIXED), "first": _STEP, "step": _STEP, "between": _FIXED, "after": _FIXED,
        "user": ("problem",),
    },
    "text": {"text": ("problem", "text", "separator", "read", "cut")},
    "chat": {"user": ("problem", "text"), "text": ("problem", "text"), "plain": ("problem", "text")},
    "generate": {"text": ("problem", "text", "steps"), "step": ("step", "step_k", "k", "index"), "between": ()},
}  # fmt: skip
"""The templates of each way to make an input, and the slots that are filled in each template; there are no others."""
OTHERS_OF: dict[str, set[str]] = {
    "steps": {"chat", "bos", "trim", "marker", "separator", "read_shift", "read_prefix"},
    "text": {"bos", "trim", "marker", "separator", "read_shift", "read_prefix"},
    "chat": {"chat"},
    "generate": set(),
}
"""The other keys of :class:`~prm_eval.rewards.recipes.recipe.Render` that each way to make an input has."""
RULES_OF = {
    "logratio": ("logratio",),
    "generate": ("yes_no", "first_error"),
    "value": ("sigmoid", "raw"),
    "lm_row_mean": ("sigmoid", "raw"),
    "lm_rows": ("two_way", "classes", "sigmoid", "raw"),
    "label_mlp": ("two_way", "classes", "sigmoid", "raw"),
    "linear": ("two_way", "classes", "sigmoid", "raw", "by_labels"),
}
KIND_OF = {"logratio": "prm", "first_error": "prm", "yes_no": "orm"}
"""The kind of reward model that a rule makes, for rules that make only one."""


def read_recipe(path: str | Path) -> Recipe:
    """Return the recipe of a file, checked.

    Raises:
        DataError: The file is missing, is not YAML, or has a fault; the message names the key.
    """
    path = Path(path)
    raw = read_bytes(path, MAX_BYTES, links=True)
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise DataError(path, None, str(error), "YAML in UTF-8") from None
    content = read_yaml(path, text)
    if not isinstance(content, dict):
        raise DataError(path, None, type(content).__name__, "a mapping of recipe keys, see CONTRIBUTING.md")
    return _build(path, content)


def _build(path: Path, content: dict[Any, Any]) -> Recipe:
    check = _Check(path)
    try:
        # a required key that is missing counts as a key without a value
        recipe = build(Recipe, {**dict.fromkeys(REQUIRED), **_listed(content)}, own=True)
    except Malformed as error:
        raise check.as_error(error) from None
    for key in () if recipe.refused else ("render", "head", "score"):
        if key not in content:
            raise check.fault(key, "nothing", f"a mapping ({key} of the model)")
    # after the check of the keys, whose messages are clearer
    try:
        fed_and_read = {key: value for key, value in content.items() if key not in UNHASHED}
        digest = hashlib.sha256(canonical_json(fed_and_read)).hexdigest()
    except (TypeError, ValueError) as error:
        raise check.fault("the file", str(error), "texts in Unicode, finite numbers, lists and mappings") from None
    recipe = replace(
        recipe,
        checked_against=_one_line(recipe.checked_against),
        source=_one_line(recipe.source),
        notes=_one_line(recipe.notes),
        refused=recipe.refused and _one_line(recipe.refused),
        digest=digest,
    )
    check.whole_recipe(recipe)
    return recipe


def _listed(content: dict[Any, Any]) -> dict[Any, Any]:
    """Return a recipe's keys with ``score.good`` and ``score.bad`` as lists; a file may give a single output."""
    score = content.get("score")
    if not isinstance(score, dict):
        return content
    alone = {side: [score[side]] for side in ("good", "bad") if side in score and not isinstance(score[side], list)}
    return {**content, "score": {**score, **alone}}


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _Check:
    """The checks that need several keys; a fault names the file, the key, what was found and what was expected."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fault(self, key: str, found: str, expected: str) -> DataError:
        return DataError(self.path, None, f"{key}: {found}", expected, HINT)

    def as_error(self, error: Malformed) -> DataError:
        """Return the error of the first fault of the keys, which also lists the places of the others."""
        first, *others = error.faults
        # YAML reads some unquoted texts as dates or numbers
        quote = " (quote it)" if first.expected == A_TEXT and first.found != "None" else ""
        more = f" Also wrong: {', '.join(each.where for each in others[:5])}." if others else ""
        place = f"{first.where}: {first.found}"
        return DataError(self.path, None, place, f"{first.expected}{quote}", HINT + more)

    def whole_recipe(self, recipe: Recipe) -> None:
        """Insist that the parts of a recipe fit each other.

        Raises:
            DataError: Two parts do not fit.
        """
        self._shown_texts(recipe)
        if recipe.splitter not in (None, *SPLITTERS):
            raise self.fault("splitter", repr(recipe.splitter), f"one of {', '.join(SPLITTERS)}")
        if recipe.refused:
            return
        for pattern in recipe.models:
            if any(sign in pattern.removesuffix("*").removeprefix("*/") for sign in "*?["):
                raise self.fault(
                    "models", repr(pattern), "a hub id, one with a single * at its end, or */ and a folder's name"
                )
        self._templates(recipe)
        if recipe.head.type == "generate":
            self._generate(recipe)
        else:
            self._reading(recipe)
        self._score_of_head(recipe)

    def _shown_texts(self, recipe: Recipe) -> None:
        """Insist on plain text where a text is printed as it is; templates may hold any character."""
        shown = {key: getattr(recipe, key) for key in ("name", "checked_against", "source", "notes")}
        shown |= {"refused": recipe.refused or "", "head.prefix": recipe.head.prefix}
        shown |= {"head.reference": recipe.head.reference, "splitter": recipe.splitter or ""}
        for key in ("models", "architectures"):
            shown |= {f"{key}[{at}]": text for at, text in enumerate(getattr(recipe, key))}
        for key, text in shown.items():
            if bad_characters(text):
                raise self.fault(key, ascii(text)[:100], "a text without control or invisible characters")

    def _templates(self, recipe: Recipe) -> None:
        """Insist that every template is used and every slot is filled in, before the first candidate is rendered."""
        render = recipe.render
        whole = "chat" if render.chat else "text"
        form = "generate" if recipe.head.type == "generate" else "steps" if recipe.kind == "prm" else whole
        templates = {key for slots in SLOTS_OF.values() for key in slots}
        for each in fields(Render):
            value = getattr(render, each.name)
            if value == each.default:
                continue
            if each.name not in {*SLOTS_OF[form], *OTHERS_OF[form]} or (each.name == "user" and not render.chat):
                what = {
                    "chat": "an ORM with chat:",
                    "text": "an ORM",
                    "steps": "a PRM",
                    "generate": "the head generate",
                }
                raise self.fault(f"render.{each.name}", repr(value), f"nothing: it has no meaning for {what[form]}")
            if each.name in templates:
                self._slots(f"render.{each.name}", value, SLOTS_OF[form][each.name])
        if form == "chat" and "{text}" not in render.text:
            raise self.fault("render.text", repr(render.text), "a template with {text}: the assistant turn")
        if render.read_shift > 0:
            raise self.fault("render.read_shift", str(render.read_shift), "0 or less: nothing is read behind a step")

    def _slots(self, key: str, template: str, allowed: tuple[str, ...]) -> None:
        try:
            used = [content for sort, content in parse_template(template) if sort == "slot"]
        except ValueError as error:
            raise self.fault(key, str(error), "templates with the slots that CONTRIBUTING.md lists") from None
        for slot in used:
            if slot not in allowed:
                there = ", ".join(f"{{{each}}}" for each in allowed) or "text alone"
                raise self.fault(key, f"{{{slot}}} is not filled in there", there)

    def _generate(self, recipe: Recipe) -> None:
        how = recipe.generate
        if how is None or not recipe.render.text:
            raise self.fault("head.type", "generate", "with it generate: and render.text:")
        if len(how.choices) != 2:
            raise self.fault("generate.choices", repr(how.choices), "two texts, yes and no")

    def _reading(self, recipe: Recipe) -> None:
        render = recipe.render
        if render.marker is not None and render.marker not in recipe.tokens:
            raise self.fault(
                "render.marker", repr(render.marker), f"one of tokens: {', '.join(map(repr, recipe.tokens)) or 'none'}"
            )
        if render.marker is not None and any(
            template and f"{render.marker}{{read}}" not in template for template in (render.step, render.first)
        ):
            raise self.fault("render.marker", repr(render.marker), "{read} right after it in each step")
        if recipe.kind == "prm":
            for key in ("step", "first"):
                template = getattr(render, key)
                if (template or key == "step") and (template or "").count("{read}") != 1:
                    raise self.fault(f"render.{key}", repr(template), "a template with one {read}: one reward a step")
                if template and "{mark}" in render.before + render.step and "{read}{mark}" not in template:
                    raise self.fault(f"render.{key}", repr(template), "{read}{mark}: marks are noted where steps end")
        elif render.chat is None and render.text.count("{read}") != 1:
            raise self.fault("render.text", repr(render.text), "a template with one {read}")

    def _score_of_head(self, recipe: Recipe) -> None:
        head, score = recipe.head, recipe.score
        if head.type == "lm_rows" and not head.rows:
            raise self.fault("head.rows", "nothing", "the tokens whose logits are read, with their ids")
        if head.type == "logratio" and not head.reference:
            raise self.fault("head", head.type, "a reference:")
        if score.rule not in RULES_OF[head.type]:
            raise self.fault("score.rule", score.rule, f"for the head {head.type} {' or '.join(RULES_OF[head.type])}")
        if KIND_OF.get(score.rule, recipe.kind) != recipe.kind:
            raise self.fault("kind", recipe.kind, f"{KIND_OF[score.rule]}, which the rule {score.rule} makes")
        if score.rule == "by_labels" and head.labels:
            raise self.fault("score.rule", score.rule, "with it head.labels 0, the config's")
        outputs = len(head.rows) or (1 if head.type in ("value", "lm_row_mean") else head.labels)
        if score.rule in ("two_way", "classes"):
            sizes = (len(score.good), len(score.bad))
            used = [*score.good, *score.bad]
            if not all(sizes) or (score.rule == "two_way" and sizes != (1, 1)) or len(set(used)) != len(used):
                found = f"good {list(score.good)}, bad {list(score.bad)}"
                raise self.fault("score", found, "different outputs, one each for two_way")
            if outputs and max(used) >= outputs:
                raise self.fault("score", f"output {max(used)}", f"less than the head's {outputs} outputs")
        if score.rule in ("sigmoid", "raw") and outputs > 1:
            raise self.fault("score.rule", score.rule, f"two_way or classes for a head of {outputs} outputs")
