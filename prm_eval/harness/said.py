"""Log messages for the user who waits for a run: verdicts, settings that cut answers off, and at last the table."""

from __future__ import annotations

import atexit
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.by_set import SetPart, table_of_sets
from prm_eval.evaluation.curves import Evaluation
from prm_eval.evaluation.notes import WIDER_EXTRACTION, WIDER_GRADER, WIDER_OFFER
from prm_eval.evaluation.report import text_table
from prm_eval.evaluation.set_report import set_lines
from prm_eval.harness.policy_identity import unwrapped
from prm_eval.harness.running import current_notes
from prm_eval.pools.pool import Pool
from prm_eval.records import VERDICTS, Candidate

logger = logging.getLogger(__name__)

# Up to this share of candidates without an answer, nothing is said of them.
SAY_FROM = 0.10
LENGTH_SETTINGS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens", "max_length")
# The characters that a finished text ends with: marks of sentences and formulas, brackets, fences, in several scripts.
TERMINATORS = tuple(".!?:;…)]}$>*_`\"'”’»|。！？」』）】।؟")

CountTokens = Callable[[str], int]


@dataclass(frozen=True)
class Verdicts:
    """Counts of verdicts, and of the candidates without an answer that end unfinished.

    Attributes:
        counts: The number of candidates by verdict.
        unfinished: The number of candidates without an answer that were cut off, as far as can be seen.
        by_length: Whether that was seen by counting tokens, not by how the text ends.
    """

    counts: Mapping[str, int]
    unfinished: int
    by_length: bool


def speak_in_lm_eval() -> None:
    """Show the log messages of this package beside those of lm_eval, which would hide them otherwise.

    A program that set up logging itself keeps its own set-up.
    """
    host, ours = logging.getLogger("lm_eval"), logging.getLogger("prm_eval")
    if host.handlers and not ours.handlers and not logging.getLogger().handlers:
        for handler in host.handlers:
            ours.addHandler(handler)
        ours.setLevel(host.level)


def count_verdicts(pool: Pool, source: str, most: int | None, count_tokens: CountTokens | None) -> Verdicts:
    """Count the verdicts on a pool.

    Args:
        pool: A graded pool.
        source: The source of the grades.
        most: The largest number of tokens a candidate could have; None where it is not known.
        count_tokens: The policy's token counter; None where its tokenizer is not at hand.
    """
    counts: Counter[str] = Counter()
    unfinished = 0
    for (_, candidates), (_, rows) in zip(pool, pool.grades(source), strict=True):
        for candidate, row in zip(candidates, rows, strict=True):
            counts[row.grade] += 1
            if row.grade == "no_answer":
                unfinished += ends_unfinished(candidate, most, count_tokens)
    return Verdicts(counts, unfinished, most is not None and count_tokens is not None)


def ends_unfinished(candidate: Candidate, most: int | None, count_tokens: CountTokens | None) -> bool:
    """Say whether a candidate was cut off: by its finish reason, else by its length in tokens, else by how it ends."""
    if candidate.finish_reason is not None:
        return candidate.finish_reason == "length"
    length = candidate.n_tokens
    if length is None and count_tokens is not None and most is not None:
        length = count_tokens(candidate.text)
    if length is not None and most is not None:
        return length >= most
    return bool(candidate.text.strip()) and not candidate.text.rstrip().endswith(TERMINATORS)


def say_verdicts(pool: Pool, source: str, arguments: Mapping[str, Any], model: Any) -> None:
    """Log the counts of verdicts, and warn where many candidates have no answer, with the setting that cut them off."""
    setting = next((name for name in LENGTH_SETTINGS if str(arguments.get(name, "")).isdigit()), None)
    # a limit on prompt and answer together says nothing about the answer's own length
    most = int(arguments[setting]) if setting not in (None, "max_length") else None
    found = count_verdicts(pool, source, most, token_counter(model))
    total = sum(found.counts.values())
    said = ", ".join(f"{name} {found.counts[name]:,}" for name in VERDICTS if found.counts[name])
    logger.info("verdicts on %s candidates: %s", f"{total:,}", said)
    without = found.counts["no_answer"]
    if without > SAY_FROM * total:
        wider = "" if WIDER_EXTRACTION in source else f"; {WIDER_OFFER}: --metadata grader={WIDER_GRADER}"
        logger.warning("%s%s", _without_answer(found, without, total, setting, arguments), wider)


def _without_answer(
    found: Verdicts, without: int, total: int, setting: str | None, arguments: Mapping[str, Any]
) -> str:
    text = f"{without:,} of {total:,} candidates ({100 * without / total:.0f} %) have no answer"
    if not found.unfinished:
        return (
            f"{text}; all of them end as finished texts do. Look at a few: prm-eval pool show POOL --verdict no_answer"
        )
    how = "reach the limit" if found.by_length else "end in the middle of a sentence"
    cut = [f"{setting}={arguments[setting]}"] if setting else []
    cut += [f"until={arguments['until']}"] if arguments.get("until") else []
    by = f" (cut by {' or '.join(cut)})" if cut else ""
    more = f". Was it too small? --gen_kwargs {setting}={2 * int(arguments[setting])}" if setting else ""
    return f"{text}; {found.unfinished:,} of these {how}{by}{more}"


def token_counter(model: Any) -> CountTokens | None:
    """Return a function that counts the tokens of a text; None for a policy behind a server, or without a policy."""
    try:
        tokenizer = getattr(unwrapped(model), "tokenizer", None) if model is not None else None
    except OSError as error:  # lm_eval's dummy loads one from the hub when it is asked for
        logger.info("the policy's tokenizer cannot be loaded, so that no tokens are counted: %s", error)
        tokenizer = None
    encode = getattr(tokenizer, "encode", None)
    if encode is None or not callable(getattr(tokenizer, "decode", None)):
        return None
    return lambda text: len(encode(text, add_special_tokens=False))


def say_table(found: Evaluation, pool: Pool, names: Mapping[str, str]) -> None:
    """Hand out our table, to be read after everything else (:func:`say_last`).

    Args:
        found: The evaluation of the run.
        pool: Its pool.
        names: The name of the reward model that each label of the table stands for.
    """
    models = "".join(f"{label}: {name}\n" for label, name in names.items())
    page = f"limits of all n, a chart and a page: prm-eval evaluate {pool.path} --html report.html"
    say_last(f"\n{text_table(found)}\n{models}{page}")


def note_set(row: str, name: str, found: Evaluation) -> None:
    """Note the evaluation of one task, for the table of all tasks of a ``prm-eval run`` (:func:`sets_table`)."""
    notes = current_notes()
    if notes is not None:
        notes.sets.append(SetPart(row, name, found))


def sets_table(parts: Sequence[SetPart]) -> str:
    """Return the table of all tasks of a run; empty for a single one, which has its own."""
    if len(parts) < 2:
        return ""
    try:
        return "\n" + "\n".join(set_lines(table_of_sets(parts)))
    except PrmEvalError as error:
        return f"\nno table of all tasks: {error}"


def say_last(text: str) -> None:
    """Hand out a text to be read after everything else.

    ``prm-eval run`` gets it in its notes and prints it. Elsewhere it is logged: under plain ``lm_eval run`` when the
    process ends, because lm_eval prints its own long table until then, and from Python at once.
    """
    notes = current_notes()
    if notes is not None:
        notes.last_words.append(text)
    elif Path(sys.argv[0]).name in ("lm_eval", "lm-eval", "lm_eval.exe"):
        atexit.register(logger.info, "%s", text)
    else:
        logger.info("%s", text)
