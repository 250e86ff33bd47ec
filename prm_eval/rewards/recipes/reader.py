"""Read a recipe file: every fault names the file, the key, what was found and what was expected."""

from __future__ import annotations

import hashlib
import math
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from prm_eval.errors import DataError
from prm_eval.records import SCORE_TYPES
from prm_eval.rewards.aggregations import AGGREGATIONS
from prm_eval.rewards.recipes.recipe import BOS, CHATS, HEADS, RULES, Generate, Head, Recipe, Render, Score
from prm_eval.rewards.recipes.template import parse_template
from prm_eval.store.jsonl import canonical_json
from prm_eval.texts.steps import SPLITTERS

UNHASHED = frozenset({"models", "architectures", "checked_against", "source", "notes"})
"""Keys that say for whom a recipe is and why: another model's id or a better word must not make old rewards those of another recipe."""

MAX_BYTES = 100_000
_STEP = ("problem", "step", "step_k", "k", "index", "separator", "read", "cut")
_FIXED = ("separator", "cut")
SLOTS_OF: dict[str, dict[str, tuple[str, ...]]] = {
    "steps": {
        "before": ("problem", *_FIXED), "first": _STEP, "step": _STEP, "between": _FIXED, "after": _FIXED,
        "user": ("problem",),
    },
    "text": {"text": ("problem", "text", "separator", "read", "cut")},
    "chat": {"user": ("problem", "text"), "text": ("problem", "text"), "plain": ("problem", "text")},
    "generate": {"text": ("problem", "text", "steps"), "step": ("step", "step_k", "k", "index"), "between": ()},
}  # fmt: skip
"""For each way to make an input, the templates it has and the slots that are filled in there; it has no others."""
OTHERS_OF: dict[str, set[str]] = {
    "steps": {"chat", "bos", "trim", "marker", "separator", "read_shift", "read_prefix"},
    "text": {"bos", "trim", "marker", "separator", "read_shift", "read_prefix"},
    "chat": {"chat"},
    "generate": set(),
}
"""The keys of :class:`~prm_eval.rewards.recipes.recipe.Render` beside the templates that have a meaning there."""
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
"""What a rule makes, where that is not open."""


def read_recipe(path: str | Path) -> Recipe:
    """Read and check one recipe file.

    Raises:
        DataError: It is not there, not YAML, or says something that is not understood; the message names the key.
    """
    import yaml

    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(path, None, f"no readable file ({error.strerror})", "a recipe in YAML") from None
    if len(raw) > MAX_BYTES:
        raise DataError(path, None, f"{len(raw):,} bytes", f"a recipe of at most {MAX_BYTES:,}")
    try:
        text = raw.decode()
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise DataError(path, None, "a YAML alias (*name)", "values written out: aliases can grow without bound")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DataError(path, None, " ".join(str(error).split())[:300], "YAML in UTF-8") from None
    if not isinstance(content, dict):
        raise DataError(path, None, type(content).__name__, "a mapping of recipe keys, see CONTRIBUTING.md")
    return _build(path, content)


def _build(path: Path, content: dict[str, Any]) -> Recipe:
    check = _Check(path)
    check.keys("", content, {each.name for each in fields(Recipe)} - {"digest"})
    for key in ("name", "kind", "checked_against", "source"):
        if not isinstance(content.get(key), str) or not content[key].strip():
            raise check.fault(key, repr(content.get(key)), "a text")
    refused = check.text("refused", content.get("refused"))
    for key in () if refused else ("render", "head", "score"):
        if key not in content:
            raise check.fault(key, "nothing", f"a mapping ({key} of the model)")
    values: dict[str, Any] = {
        "name": content["name"],
        "kind": check.one_of("kind", content["kind"], ("prm", "orm")),
        "checked_against": " ".join(content["checked_against"].split()),
        "source": " ".join(content["source"].split()),
        "notes": " ".join((check.text("notes", content.get("notes")) or "").split()),
        "models": check.texts("models", content.get("models", [])),
        "architectures": check.texts("architectures", content.get("architectures", [])),
        "refused": refused and " ".join(refused.split()),
        "tokens": check.ids("tokens", content.get("tokens", {})),
    }
    if content.get("splitter") is not None:
        values["splitter"] = check.one_of("splitter", content["splitter"], SPLITTERS)
    if "score_type" in content:
        values["score_type"] = check.one_of("score_type", content["score_type"], SCORE_TYPES)
    if "aggregation" in content:
        values["aggregation"] = check.one_of("aggregation", content["aggregation"], tuple(AGGREGATIONS))
    if content.get("max_tokens") is not None:
        values["max_tokens"] = check.whole("max_tokens", content["max_tokens"])
    if "render" in content:
        values["render"] = check.record("render", content["render"], Render)
    if "head" in content:
        values["head"] = check.head(content["head"])
    if "score" in content:
        values["score"] = check.score(content["score"])
    if "generate" in content:
        values["generate"] = check.record("generate", content["generate"], Generate)
    try:  # after the keys, whose faults are said better
        fed_and_read = {key: value for key, value in content.items() if key not in UNHASHED}
        values["digest"] = hashlib.sha256(canonical_json(fed_and_read)).hexdigest()
    except (TypeError, ValueError) as error:
        raise check.fault("the file", str(error), "texts in Unicode, finite numbers, lists and mappings") from None
    recipe = Recipe(**values)
    check.whole_recipe(recipe)
    return recipe


class _Check:
    """Turns YAML values into typed ones; every fault names the file, the key, what was found and what was expected."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fault(self, key: str, found: str, expected: str) -> DataError:
        return DataError(self.path, None, f"{key}: {found}", expected, "See CONTRIBUTING.md, A reward model.")

    def keys(self, where: str, content: Any, known: set[str]) -> None:
        if not isinstance(content, dict):
            raise self.fault(where, type(content).__name__, "a mapping")
        for key in content:
            if key not in known:
                near = get_close_matches(str(key), known, n=1)
                guess = f"{near[0]}?" if near else f"one of {', '.join(sorted(known))}"
                raise self.fault(f"{where}.{key}".lstrip("."), "an unknown key", guess)

    def text(self, key: str, value: Any) -> str | None:
        if value is not None and not isinstance(value, str):
            raise self.fault(key, repr(value), "a text (quote it)")
        return value

    def texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.fault(key, repr(value), "a list of texts")
        return tuple(value)

    def whole(self, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.fault(key, repr(value), "a positive whole number")
        return value

    def one_of(self, key: str, value: Any, known: tuple[str, ...]) -> str:
        if value not in known:
            raise self.fault(key, repr(value), f"one of {', '.join(known)}")
        return cast(str, value)

    def ids(self, key: str, value: Any) -> dict[str, int]:
        if not isinstance(value, dict) or not all(
            isinstance(text, str) and type(number) is int and number >= 0 for text, number in value.items()
        ):
            raise self.fault(key, repr(value), "a mapping of token texts to ids")
        return value

    def record(self, where: str, content: Any, record: type[Any]) -> Any:
        """Fill a dataclass whose fields are texts, flags, numbers or tuples of texts, by the types of their defaults."""
        self.keys(where, content, {each.name for each in fields(record)})
        values: dict[str, Any] = {}
        for key, value in content.items():
            default = next(each.default for each in fields(record) if each.name == key)
            place = f"{where}.{key}"
            if isinstance(default, bool):
                if not isinstance(value, bool):
                    raise self.fault(place, repr(value), "true or false")
            elif isinstance(default, tuple):
                value = self.texts(place, value)
            elif isinstance(default, int):
                if type(value) is not int:
                    raise self.fault(place, repr(value), "a whole number")
            elif isinstance(default, float):
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                    raise self.fault(place, repr(value), "a number")
            else:
                self.text(place, value)
            values[key] = value
        return record(**values)

    def head(self, content: Any) -> Head:
        self.keys("head", content, {each.name for each in fields(Head)})
        labels = content.get("labels", 0)
        if type(labels) is not int or labels < 0:
            raise self.fault("head.labels", repr(labels), "a whole number")
        beta = content.get("beta", 1.0)
        if isinstance(beta, bool) or not isinstance(beta, (int, float)) or not 0 < beta < 1e6:
            raise self.fault("head.beta", repr(beta), "a positive number")
        return Head(
            type=self.one_of("head.type", content.get("type"), HEADS),
            labels=labels,
            prefix=self.text("head.prefix", content.get("prefix")) or "score",
            rows=self.ids("head.rows", content.get("rows", {})),
            reference=self.text("head.reference", content.get("reference")) or "",
            beta=float(beta),
        )

    def score(self, content: Any) -> Score:
        self.keys("score", content, {each.name for each in fields(Score)})
        sides: dict[str, tuple[int, ...]] = {}
        for side in ("good", "bad"):
            value = content.get(side, [])
            value = value if isinstance(value, list) else [value]
            if not all(type(each) is int and each >= 0 for each in value):
                raise self.fault(f"score.{side}", repr(content[side]), "an index of an output, or a list of them")
            sides[side] = tuple(value)
        return Score(
            rule=self.one_of("score.rule", content.get("rule"), RULES),
            steps=self.one_of("score.steps", content.get("steps", "single"), ("single", "accumulative")),
            **sides,
        )

    def whole_recipe(self, recipe: Recipe) -> None:
        """Check what no key says alone."""
        if recipe.refused:
            return
        for pattern in recipe.models:
            if any(sign in pattern.removesuffix("*").removeprefix("*/") for sign in "*?["):
                raise self.fault(
                    "models", repr(pattern), "a hub id, one with a single * at its end, or */ and a folder's name"
                )
        render = recipe.render
        if render.chat is not None:
            self.one_of("render.chat", render.chat, CHATS)
        self.one_of("render.bos", render.bos, BOS)
        self._templates(recipe)
        if recipe.head.type == "generate":
            self._generate(recipe)
        else:
            self._reading(recipe)
        self._score_of_head(recipe)

    def _templates(self, recipe: Recipe) -> None:
        """Insist that every template is one that is used, with slots that are filled in: not a crash at the first candidate."""
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
        for key in ("max_new_tokens", "votes"):
            self.whole(f"generate.{key}", getattr(how, key))
        if not 0 <= how.temperature <= 2:
            raise self.fault("generate.temperature", str(how.temperature), "a number from 0 to 2")
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
