"""Recipes: what a reward model is fed and how it is read, as data. One YAML file a family, in ``recipes/`` or a user's own.

A recipe names a renderer's templates (:mod:`prm_eval.rewards.render`), a head (:mod:`prm_eval.rewards.heads`) and a score rule. It
holds no code, and reading one runs none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from prm_eval.errors import DataError, ModelError
from prm_eval.jsonl import canonical_json
from prm_eval.records import AGGREGATIONS, SCORE_TYPES, Aggregation, Kind, ScoreType
from prm_eval.steps import SPLITTERS

FOLDER = Path(__file__).with_name("recipes")
MAX_BYTES = 100_000
HEADS = ("label_mlp", "linear", "value", "lm_rows", "lm_row_mean", "logratio", "generate")
RULES = ("two_way", "classes", "sigmoid", "raw", "by_labels", "logratio", "yes_no", "first_error")
CHATS = ("tokenizer",)
BOS = ("tokenizer", "always", "required", "never")


@dataclass(frozen=True)
class Render:
    """Templates. ``{problem}``, ``{step}``, ``{step_k}``, ``{k}``, ``{text}`` and ``{separator}`` are filled in; ``{read}`` reads the head at the
    token that ends there; text between two ``{cut}`` is tokenised together, as the model's authors did.

    Attributes:
        before: What stands before the first step.
        first: The first step, where it differs from the others.
        step: Each step (PRM).
        between: What stands between two steps.
        after: What stands after the last step.
        text: The whole input (ORM, generative).
        chat: "tokenizer": the checkpoint's own chat template around user (``user``) and assistant turn (the steps or ``text``).
        user: The user turn of that template.
        plain: Instead of it where the tokenizer has no chat template (ORM).
        bos: "tokenizer": as the tokenizer adds it by itself; "always": if there is one; "required": a tokenizer without one is wrong; "never".
        trim: The chat template trims its turns (Llama-3).
        marker: The text, one of ``tokens``, that marks steps: refused in problems and steps.
        separator: What ``{separator}`` stands for; the only thing a user may change.
        read_shift: Added to every read position (ReasonEval-7B reads one token earlier).
        read_prefix: Positions are token counts of prefixes tokenised alone, as implicit PRMs' reference takes them.
    """

    before: str = ""
    first: str | None = None
    step: str = ""
    between: str = ""
    after: str = ""
    text: str = ""
    chat: str | None = None
    user: str = "{problem}"
    plain: str = ""
    bos: str = "never"
    trim: bool = False
    marker: str | None = None
    separator: str | None = None
    read_shift: int = 0
    read_prefix: bool = False


@dataclass(frozen=True)
class Head:
    """The function from hidden states to logits.

    Attributes:
        type: One of :data:`HEADS`.
        labels: Its outputs; 0 means as the checkpoint's config says.
        prefix: Under which name its tensors are stored.
        rows: For ``lm_rows``: token texts and their ids, in the order of the outputs.
        reference: For ``logratio``: the checkpoint of the reference model.
        beta: For ``logratio``: the factor of the log-ratio.
    """

    type: str
    labels: int = 0
    prefix: str = "score"
    rows: Mapping[str, int] = field(default_factory=dict)
    reference: str = ""
    beta: float = 1.0


@dataclass(frozen=True)
class Score:
    """How logits become a number.

    Attributes:
        rule: "two_way" (softmax over exactly ``good`` and ``bad``, kept as log-odds), "classes" (the same over sums of classes),
            "sigmoid" (the logit is the log-odds), "raw", "by_labels" (raw for one label, two_way 1 against 0 for two), "logratio",
            "yes_no" or "first_error" (generative).
        good: Indices of outputs that mean right.
        bad: Indices of outputs that mean wrong.
        steps: For ``logratio``: "single" or "accumulative".
    """

    rule: str
    good: tuple[int, ...] = ()
    bad: tuple[int, ...] = ()
    steps: str = "single"


@dataclass(frozen=True)
class Generate:
    """How a generative verifier is asked, bounded.

    Attributes:
        max_new_tokens: Of one judgement.
        temperature: Of sampling; 0 is greedy.
        votes: Judgements a candidate.
        stop: Texts that end a judgement.
        start: Text the judgement starts with, after the chat template's generation prompt; needs a completions endpoint.
        decision: Text appended to a judgement, after which yes or no is read ("yes_no").
        choices: The texts of (yes, no).
    """

    max_new_tokens: int = 4_096
    temperature: float = 0.0
    votes: int = 1
    stop: tuple[str, ...] = ()
    start: str = ""
    decision: str = ""
    choices: tuple[str, ...] = ("yes", "no")


@dataclass(frozen=True)
class Recipe:
    """One reward-model family; see CONTRIBUTING.md for an example.

    Attributes:
        name: Of the family; ``NAME:CHECKPOINT`` uses it for another checkpoint.
        models: Hub ids, exact or with a trailing ``*``.
        architectures: Class names in ``config.json`` that only this family has.
        kind: "prm" or "orm".
        splitter: How this model wants candidates cut; None as the pool says.
        render: See :class:`Render`.
        head: See :class:`Head`.
        score: See :class:`Score`.
        score_type: How the numbers are to be read.
        aggregation: The authors' step aggregation.
        max_tokens: The length limit its authors state; the config's limit holds too.
        tokens: Texts and the id each must have in the tokenizer: a wrong tokenizer is an error at load, not a wrong number.
        generate: See :class:`Generate`.
        refused: Why models of this family are not run at all.
        checked_against: In words, what our implementation is compared with.
        source: Where the facts are from.
        notes: What a reader should know.
        digest: SHA-256 of the content, part of a reward file's identity.
    """

    name: str
    kind: Kind
    checked_against: str
    source: str
    models: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    splitter: str | None = None
    render: Render = field(default_factory=Render)
    head: Head = field(default_factory=lambda: Head("linear"))
    score: Score = field(default_factory=lambda: Score("raw"))
    score_type: ScoreType = "logodds"
    aggregation: Aggregation = "last"
    max_tokens: int | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    generate: Generate | None = None
    refused: str | None = None
    notes: str = ""
    digest: str = ""

    def fits(self, hub_id: str) -> bool:
        """Say whether a hub id is one of this family's."""
        return any(fnmatchcase(hub_id, pattern) for pattern in self.models)


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
        content = yaml.safe_load(raw.decode())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DataError(path, None, " ".join(str(error).split())[:300], "YAML in UTF-8") from None
    if not isinstance(content, dict):
        raise DataError(path, None, type(content).__name__, "a mapping of recipe keys, see CONTRIBUTING.md")
    return _build(path, content)


@lru_cache(maxsize=1)
def shipped_recipes() -> dict[str, Recipe]:
    """Return the recipes that come with prm_eval, by name."""
    recipes = [read_recipe(path) for path in sorted(FOLDER.glob("*.yaml"))]
    return {recipe.name: recipe for recipe in recipes}


def named_recipe(name_or_file: str) -> Recipe:
    """Return the recipe of a shipped name, or of a file.

    Raises:
        ModelError: Neither.
        DataError: The file is malformed.
    """
    shipped = shipped_recipes()
    if name_or_file in shipped:
        return shipped[name_or_file]
    if Path(name_or_file).is_file() or name_or_file.endswith((".yaml", ".yml")):
        return read_recipe(name_or_file)
    near = get_close_matches(name_or_file, shipped, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    raise ModelError(f"no recipe or recipe file {name_or_file!r}.{guess} Shipped: {', '.join(shipped)}")


def recipe_for(checkpoint: str, architectures: tuple[str, ...] = ()) -> Recipe | None:
    """Return the shipped recipe of a hub id or of a folder that holds one, else of its architecture, else None.

    A folder is known by its last two parts (``.../Qwen/Qwen2.5-Math-PRM-7B``), by ``org__name`` or the hub cache's ``models--org--name``; its
    last part alone would confuse models of the same name by different people.
    """
    parts = [part for part in checkpoint.rstrip("/").split("/") if part]
    ids = {"/".join(parts[-2:])}
    ids |= {part.removeprefix("models--").replace(glue, "/", 1) for part in parts for glue in ("__", "--") if glue in part}
    recipes = shipped_recipes().values()
    for recipe in recipes:
        if any(recipe.fits(each) for each in ids):
            return recipe
    for recipe in recipes:
        if set(architectures) & set(recipe.architectures):
            return recipe
    return None


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
        from prm_eval.rewards.render import parse_template

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
                    raise self.fault(f"render.{key}", str(error), "templates with the slots that CONTRIBUTING.md lists") from None
        if render.chat is not None:
            self.one_of("render.chat", render.chat, CHATS)
        self.one_of("render.bos", render.bos, BOS)
        if render.marker is not None and render.marker not in recipe.tokens:
            raise self.fault("render.marker", repr(render.marker), f"one of tokens: {', '.join(map(repr, recipe.tokens)) or 'none'}")
        if head.type == "generate":
            if recipe.generate is None or score.rule not in ("yes_no", "first_error") or not render.text:
                raise self.fault("head.type", "generate", "with it generate:, render.text: and score.rule yes_no or first_error")
            return
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
                raise self.fault("score", f"good {list(score.good)}, bad {list(score.bad)}", "different outputs, one each for two_way")
            if outputs and max(used) >= outputs:
                raise self.fault("score", f"output {max(used)}", f"less than the head's {outputs} outputs")
        if score.rule in ("sigmoid", "raw") and outputs > 1:
            raise self.fault("score.rule", score.rule, f"two_way or classes for a head of {outputs} outputs")
