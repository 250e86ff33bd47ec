"""The tokens that a tokenizer adds: control tokens, and the turns of a chat template with its date pinned."""

from __future__ import annotations

from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.inputs.limited import render_template
from prm_eval.rewards.recipes.recipe import Recipe

# Llama-3 templates print today's date unless they are given one; prompts must not depend on the day
PINNED_DATE = "26 Jul 2024"
# replaces the clock that transformers gives to templates
_CLOCK = (
    "{%- macro strftime_now(format) -%}{{ format | replace('%d', '26') | replace('%b', 'Jul') | replace('%B', 'July') "
    "| replace('%m', '07') | replace('%Y', '2024') | replace('%y', '24') | replace('%A', 'Friday') }}{%- endmacro -%}"
)
_SENTINELS = ("\ue000prm_eval-user\ue001", "\ue000prm_eval-assistant\ue001")


def special_tokens(tokenizer: Any) -> dict[int, str]:
    """Return the id and text of every special token of a tokenizer."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    found = {index: token.content for index, token in added.items() if token.special}
    return found | dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=False))


def control_tokens(tokenizer: Any) -> dict[int, str]:
    """Return the special tokens that a text must not hold, by id.

    These are all but a token that only stands for unknown characters. GPT-2-like tokenizers have one token for unknown,
    bos and eos; it counts, because it ends a text, whoever writes it.
    """
    others = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    unknown = {tokenizer.unk_token_id} - others
    return {index: text for index, text in special_tokens(tokenizer).items() if index not in unknown}


def check_tokens(recipe: Recipe, tokenizer: Any, name: str) -> None:
    """Insist that the recipe's tokens have the recipe's ids.

    Raises:
        ModelError: A token has another id: this tokenizer is not the one the model was trained with.
    """
    for text, expected in {**recipe.tokens, **recipe.head.rows}.items():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if not ids or ids[-1] != expected:
            found = ", ".join(map(str, ids[:8])) or "nothing"
            raise ModelError(
                f"the tokenizer of {name} is not the one the recipe {recipe.name} was written for: "
                f"{text!r} is id {found}, expected {expected}. "
                "Use the tokenizer the model was trained with, or a recipe of your own (--recipe FILE)."
            )


def apply_chat_template(tokenizer: Any, turns: list[dict[str, str]], **options: Any) -> str:
    """Return turns rendered by the chat template as text, with the date pinned wherever the template asks for it.

    A template is a stranger's program: it runs under limits, twice, and must give the same text.

    Raises:
        ModelError: The template fails.
    """
    name = tokenizer.name_or_path
    try:
        template = _CLOCK + tokenizer.get_chat_template()
    except (AttributeError, TypeError, ValueError) as error:
        # none for this purpose among several, or none that is a text
        why = " ".join(str(error).split())[:200]
        raise ModelError(f"the chat template of {name} fails: {why}") from error
    texts = {key: value for key, value in tokenizer.special_tokens_map.items() if isinstance(value, (str, list))}
    return render_template(template, turns, {**texts, "date_string": PINNED_DATE, **options}, name)


def chat_frame(tokenizer: Any, name: str) -> tuple[str, str, str, bool]:
    """Return the texts of a chat template around the two turns, and whether it trims the turns.

    The texts are those before the user turn, between the turns, and after the assistant turn. The template is rendered
    once, around two stand-ins, so no stranger's text ever reaches it.

    Raises:
        ModelError: There is no template, or it changes or drops the turns.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(f"the tokenizer of {name} has no chat template, which its recipe uses")
    user, assistant = _SENTINELS
    rendered = apply_chat_template(
        tokenizer, [{"role": "user", "content": f" {user} "}, {"role": "assistant", "content": f" {assistant} "}]
    )
    if rendered.count(user) != 1 or rendered.count(assistant) != 1:
        raise ModelError(f"the chat template of {name} changes or drops its turns")
    trims = f" {user} " not in rendered
    width = 0 if trims else 1
    head, rest = rendered.split(user)
    between, tail = rest.split(assistant)
    return head[: len(head) - width], between[width : len(between) - width], tail[width:], trims
