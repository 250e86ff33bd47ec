"""The child of :mod:`prm_eval.rewards.inputs.limited`: it does to a stranger's files what may never end.

It renders chat templates, tries tokenizers and matches patterns. Every question is a line of JSON, and so is its
answer; the parent keeps the time.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any


def render(question: dict[str, Any]) -> dict[str, Any]:
    """Return the text that a chat template makes of turns, as transformers' own renderer makes it."""
    from transformers.utils import chat_template_utils

    _without_chance()
    options = {"tools": None, "documents": None, "add_generation_prompt": False, **question["options"]}
    if hasattr(chat_template_utils, "render_jinja_template"):
        (text,), _ = chat_template_utils.render_jinja_template(
            conversations=[question["turns"]], chat_template=question["template"], **options
        )
    else:
        # before transformers 4.53
        compiled = chat_template_utils._compile_jinja_template(question["template"])
        text = compiled.render(messages=question["turns"], **options)
    if len(text) > question["most"]:
        return {"error": f"it writes {len(text):,} characters; expected at most {question['most']:,}"}
    return {"text": text}


@lru_cache(maxsize=1)
def _without_chance() -> None:
    """Make errors of what draws at random: nobody could make the same input again."""
    import jinja2

    def chance(*arguments: Any, **options: Any) -> None:
        raise jinja2.TemplateError("it draws at random, so that nobody could make its inputs again")

    jinja2.filters.FILTERS["random"] = chance
    jinja2.defaults.DEFAULT_NAMESPACE["lipsum"] = chance


def tokens(question: dict[str, Any]) -> dict[str, Any]:
    """Return the number of tokens that a ``tokenizer.json`` makes of each of some texts."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(question["file"])
    return {"counts": [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in question["texts"]]}


def matched(question: dict[str, Any]) -> dict[str, Any]:
    """Match patterns to names, in the ways in which peft does; return how many match."""
    found = 0
    for pattern in question["patterns"]:
        for name in question["names"]:
            for whole in (pattern, rf"(.*\.)?({pattern})$", rf".*\.{pattern}\.(\d+)\."):
                found += re.match(whole, name) is not None or re.fullmatch(whole, name) is not None
    return {"matched": found}


WORK: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "render": render,
    "tokens": tokens,
    "matched": matched,
}


def main() -> None:
    """Answer questions from standard input."""
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.argv[2:] == ["render"]:
        # the parent waits until it is imported
        from transformers.utils import chat_template_utils  # noqa: F401
    # libraries may print; only answers may stand there
    answers, sys.stdout = sys.stdout, sys.stderr
    _say(answers, {"ready": True})
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            reply = WORK[question["work"]](question)
        except MemoryError:
            reply = {"error": f"it takes more than {limit // 2**20:,} MiB of memory"}
        # strangers' files make libraries raise anything
        except Exception as error:
            reply = {"error": " ".join(str(error).split())[:200] or type(error).__name__}
        _say(answers, reply)


def _say(answers: Any, reply: dict[str, Any]) -> None:
    answers.write(json.dumps(reply) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
