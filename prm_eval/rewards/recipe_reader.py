"""Read a recipe file: every fault names the file, the key, what was found and what was expected."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from prm_eval.errors import DataError
from prm_eval.jsonl import canonical_json
from prm_eval.records import AGGREGATIONS, SCORE_TYPES
from prm_eval.rewards.recipe import BOS, CHATS, HEADS, RULES, Generate, Head, Recipe, Render, Score
from prm_eval.rewards.render import parse_template
from prm_eval.steps import SPLITTERS

MAX_BYTES = 100_000


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
        "digest": hashlib.sha256(canonical_json(content)).hexdigest(),
    }
    if content.get("splitter") is not None:
        values["splitter"] = check.one_of("splitter", content["splitter"], SPLITTERS)
    if "score_type" in content:
        values["score_type"] = check.one_of("score_type", content["score_type"], SCORE_TYPES)
    if "aggregation" in content:
        values["aggregation"] = check.one_of("aggregation", content["aggregation"], AGGREGATIONS)
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
            elif isinstance(default, (int, float)):
                if isinstance(value, bool) or not isinstance(value, (int, float)):
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
            if any(sign in pattern.removesuffix("*") for sign in "*?["):
                raise self.fault("models", repr(pattern), "a hub id, or one with a single * at its end")
        render, head, score = recipe.render, recipe.head, recipe.score
        for key in ("before", "first", "step", "between", "after", "text", "user", "plain"):
            template = getattr(render, key)
            if template:
                try:
                    parse_template(template)
                except ValueError as error:
                    raise self.fault(
                        f"render.{key}", str(error), "templates with the slots that CONTRIBUTING.md lists"
                    ) from None
        if render.chat is not None:
            self.one_of("render.chat", render.chat, CHATS)
        self.one_of("render.bos", render.bos, BOS)
        if render.marker is not None and render.marker not in recipe.tokens:
            raise self.fault(
                "render.marker", repr(render.marker), f"one of tokens: {', '.join(map(repr, recipe.tokens)) or 'none'}"
            )
        if head.type == "generate":
            if recipe.generate is None or score.rule not in ("yes_no", "first_error") or not render.text:
                raise self.fault(
                    "head.type", "generate", "with it generate:, render.text: and score.rule yes_no or first_error"
                )
            return
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
        if head.type == "lm_rows" and not head.rows:
            raise self.fault("head.rows", "nothing", "the tokens whose logits are read, with their ids")
        if (head.type == "logratio") != (score.rule == "logratio") or (head.type == "logratio" and not head.reference):
            raise self.fault("head", head.type, "logratio with reference: and score.rule logratio")
        outputs = len(head.rows) or (1 if head.type in ("value", "lm_row_mean") else head.labels)
        if score.rule in ("two_way", "classes"):
            sizes = (len(score.good), len(score.bad))
            used = [*score.good, *score.bad]
            if not all(sizes) or (score.rule == "two_way" and sizes != (1, 1)) or len(set(used)) != len(used):
                raise self.fault(
                    "score",
                    f"good {list(score.good)}, bad {list(score.bad)}",
                    "different outputs, one each for two_way",
                )
            if outputs and max(used) >= outputs:
                raise self.fault("score", f"output {max(used)}", f"less than the head's {outputs} outputs")
        if score.rule in ("sigmoid", "raw") and outputs > 1:
            raise self.fault("score.rule", score.rule, f"two_way or classes for a head of {outputs} outputs")
