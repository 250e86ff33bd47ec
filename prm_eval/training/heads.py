"""How each kind of head is trained: its class in transformers, its outputs, and the recipe that will read it.

A recipe says what the verifier is fed and where it is read, in training as in scoring. Without one of the user's, each
head has its own: a separator behind each step, read there; for an ORM the whole solution, read at its last token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError, PrmEvalError
from prm_eval.records import Kind
from prm_eval.rewards.recipes.catalogue import named_recipe
from prm_eval.rewards.recipes.reader import read_recipe
from prm_eval.rewards.recipes.recipe import Recipe
from prm_eval.store.writing import write_text
from prm_eval.training.options import HeadName, TrainOptions
from prm_eval.training.targets import Columns

RECIPE = "recipe.yaml"
TOKEN, SEQUENCE, CAUSAL = (
    f"AutoModelFor{each}" for each in ("TokenClassification", "SequenceClassification", "CausalLM")
)
SEPARATOR = "\n"
# the texts of the rows of the output matrix, in the order of the outputs
SIGNS = {"bad": "-", "neutral": "0", "good": "+"}
SOURCE = "prm-eval train; the inputs are made by the renderer that trained it"
CHECKED = "the training's own token ids, read positions and held-out scores (training.json)"
UNHEARD = ("name", "models", "architectures", "checked_against", "source", "notes", "threshold", "digest")
"""Keys of a given recipe that are about other models than the one that is trained."""


@dataclass(frozen=True)
class HeadPlan:
    """What is trained.

    Attributes:
        recipe: What it is fed and where it is read.
        loader: The class of transformers that makes it.
        labels: The outputs of a classifier; None for a language model.
        rows: The rows of the output matrix that are read, in the order of the outputs; empty for a classifier.
        columns: What the outputs mean.
    """

    recipe: Recipe
    loader: str
    labels: int | None
    rows: tuple[int, ...]
    columns: Columns


def plan_head(options: TrainOptions, tokenizer: Any, name: str, folder: Path) -> HeadPlan:
    """Return what is to be trained, and write its recipe to a folder.

    Args:
        options: The options.
        tokenizer: The tokenizer of the base.
        name: The base, for messages.
        folder: Where the recipe is written.

    Raises:
        ModelError: The recipe cannot be trained, or the base lacks its tokens.
    """
    if options.recipe is None:
        content = default_recipe(options.kind, options.head, tokenizer, name, three=options.neutral == "class")
    else:
        content = _given_recipe(named_recipe(options.recipe), options.kind)
    folder.mkdir(parents=True, exist_ok=True)
    write_recipe(folder / RECIPE, content)
    recipe = read_recipe(folder / RECIPE)
    plan = trained_as(recipe, options.head if options.recipe is None else None)
    if options.neutral == "class" and plan.columns.neutral is None:
        raise PrmEvalError(
            f"--neutral class: the head of the recipe has {plan.columns.n} outputs; expected three, of which the rule "
            '"classes" counts two as good. Use --head token-classification or lm-rows, or --neutral good'
        )
    return plan


def default_recipe(kind: Kind, head: HeadName, tokenizer: Any, name: str, *, three: bool) -> dict[str, Any]:
    """Return the content of a head's own recipe.

    Args:
        kind: What is trained.
        head: The head.
        tokenizer: The tokenizer of the base, whose ids the recipe pins.
        name: The base, for messages.
        three: Whether neutral is a class of its own.

    Raises:
        ModelError: The tokenizer has no token for what the recipe needs.
    """
    content: dict[str, Any] = {
        "name": f"trained-{head}-{kind}",
        "kind": kind,
        "render": _render(kind, head),
        "score_type": "logodds",
        "checked_against": CHECKED,
        "source": SOURCE,
    }
    if kind == "prm":
        content["aggregation"] = "prod"
    if (kind, head) != ("orm", "sequence-classification"):
        content["tokens"] = {SEPARATOR: token_id(tokenizer, SEPARATOR, name)}
    outputs = 3 if three else 2
    classes = {"rule": "classes", "good": [1, 2], "bad": [0]} if three else {"rule": "two_way", "good": 1, "bad": 0}
    if head == "lm-rows":
        rows = {sign: token_id(tokenizer, sign, name) for what, sign in SIGNS.items() if three or what != "neutral"}
        return {**content, "head": {"type": "lm_rows", "rows": rows}, "score": classes}
    if head == "token-classification":
        return {**content, "head": {"type": "linear", "labels": outputs, "prefix": "score"}, "score": classes}
    kind_of_head = {"type": "value"} if head == "value" else {"type": "linear", "labels": 1}
    return {**content, "head": {**kind_of_head, "prefix": "score"}, "score": {"rule": "sigmoid"}}


def _render(kind: Kind, head: HeadName) -> dict[str, Any]:
    """Return the templates of a head's own recipe.

    Those of both classifiers are the shipped generic recipes', so that a checkpoint is fed rightly without its own too.
    """
    if kind == "prm" and head in ("token-classification", "value"):
        return {"bos": "always", "before": "{problem}{cut}", "step": "{step}{cut}{separator}{read}{cut}",
                "separator": SEPARATOR}  # fmt: skip
    if kind == "prm":
        return {"bos": "always", "before": "{problem}\n{cut}", "step": "{step}{cut}{separator}{read}{cut}",
                "separator": SEPARATOR}  # fmt: skip
    if head == "sequence-classification":
        return {"chat": "tokenizer", "text": "{text}", "plain": "{problem}\n\n{text}"}
    return {"bos": "always", "text": "{problem}\n{cut}{text}{cut}\n{read}"}


def token_id(tokenizer: Any, text: str, name: str) -> int:
    """Return the id that a text ends with when it is tokenised alone.

    Raises:
        ModelError: The tokenizer has no token for it.
    """
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    unknown = tokenizer.unk_token_id
    alone = ids and tokenizer.decode([ids[-1]]) in (text, text.strip() or text)
    if not ids or ids[-1] == unknown or len(ids) > 2 or not alone:
        raise ModelError(
            f"the tokenizer of {name} has no token for {text!r} (found ids {', '.join(map(str, ids[:8])) or 'none'}); "
            "expected one, which the head's recipe needs. Use another --head, or a --recipe with texts that it has"
        )
    return int(ids[-1])


def _given_recipe(recipe: Recipe, kind: Kind) -> dict[str, Any]:
    """Return the content of a given recipe, as that of the model that is trained."""
    if recipe.kind != kind:
        raise PrmEvalError(f"the recipe {recipe.name} is of the kind {recipe.kind}; expected {kind}, which you train")
    if recipe.refused:
        raise ModelError(f"the recipe {recipe.name} is not run: {recipe.refused}")
    content = {key: value for key, value in plain(recipe).items() if key not in UNHEARD}
    about = {"name": recipe.name, "checked_against": CHECKED, "source": f"{SOURCE}; after the recipe {recipe.name}"}
    return {**about, **content}


def plain(value: Any) -> Any:
    """Return a recipe, or a part of one, as JSON values; keys with their default are left out, but for a rule's."""
    if is_dataclass(value) and not isinstance(value, type):
        found = {each.name: getattr(value, each.name) for each in fields(value) if not _is_default(each, value)}
        return {key: plain(each) for key, each in found.items()}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (tuple, list)) else value


def _is_default(field: Any, owner: Any) -> bool:
    value = getattr(owner, field.name)
    if field.name in ("render", "head", "score"):
        return False
    if field.default is not MISSING:
        return bool(value == field.default)
    return field.default_factory is not MISSING and bool(value == field.default_factory())


def write_recipe(path: Path, content: Mapping[str, Any]) -> None:
    """Write a recipe: a key a line, values as JSON, which YAML reads the same."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
    write_text(path, "\n".join(lines) + "\n")


def trained_as(recipe: Recipe, head: HeadName | None = None) -> HeadPlan:
    """Return how a recipe's head is trained.

    Args:
        recipe: The recipe.
        head: The head that it was made for; None for a user's recipe.

    Raises:
        ModelError: No class of transformers has this head, or no target follows from its rule.
    """
    kind, rule = recipe.head.type, recipe.score.rule
    if kind == "lm_rows":
        return HeadPlan(recipe, CAUSAL, None, tuple(recipe.head.rows.values()), _columns(recipe, len(recipe.head.rows)))
    if kind not in ("linear", "value") or recipe.head.prefix != "score":
        raise ModelError(
            f"the recipe {recipe.name} has the head {kind} {recipe.head.prefix!r}, which no class of transformers "
            "has: the checkpoint could not be loaded without prm_eval. Expected linear or value with the prefix "
            "score, or lm_rows; leave --recipe out to train one of these"
        )
    if rule == "raw":
        raise ModelError(f"the recipe {recipe.name} reads raw numbers; expected two_way, classes or sigmoid, to train")
    labels = 1 if kind == "value" else recipe.head.labels or (1 if rule in ("sigmoid", "by_labels") else 2)
    whole = recipe.kind == "orm" and recipe.render.chat is not None
    loader = SEQUENCE if head == "sequence-classification" or whole else TOKEN
    return HeadPlan(recipe, loader, labels, (), _columns(recipe, labels))


def _columns(recipe: Recipe, outputs: int) -> Columns:
    good, bad = recipe.score.good, recipe.score.bad
    if outputs == 1:
        return Columns(1)
    if recipe.score.rule == "by_labels":
        return Columns(outputs, 0, 1)
    if len(bad) != 1 or len(good) not in (1, 2):
        raise ModelError(
            f"the recipe {recipe.name} has {len(good)} good outputs and {len(bad)} bad; expected 1 or 2, and 1"
        )
    return Columns(outputs, bad[0], good[-1], good[0] if len(good) == 2 else None)
