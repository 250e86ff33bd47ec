"""What a run says to whoever waits for it: verdicts, what cut answers off, and the table, last."""

from __future__ import annotations

import atexit
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.evaluation.curves import Evaluation
from prm_eval.evaluation.report import text_table
from prm_eval.harness.policy_identity import unwrapped
from prm_eval.harness.running import current_notes
from prm_eval.pools.pool import Pool
from prm_eval.records import VERDICTS, Candidate

logger = logging.getLogger(__name__)

SAY_FROM = 0.10  # of candidates without an answer: below it, nothing is said of them
LENGTH_SETTINGS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens", "max_length")
# What a finished text ends with: marks of sentences and formulas, brackets, fences, and the same of other scripts.
TERMINATORS = tuple(".!?:;…)]}$>*_`\"'”’»|。！？」』）】।؟")

CountTokens = Callable[[str], int]


@dataclass(frozen=True)
class Verdicts:
    """Counts of verdicts, and of candidates without an answer those that end unfinished.

    Attributes:
        counts: By verdict.
        unfinished: Candidates without an answer that were cut off, as far as one can tell.
        by_length: Whether that was told by counting tokens, not by how the text ends.
    """

    counts: Mapping[str, int]
    unfinished: int
    by_length: bool


def speak_in_lm_eval() -> None:
    """Let what this package logs appear beside what lm_eval logs, which hides it otherwise; a program's own set-up stays."""
    host, ours = logging.getLogger("lm_eval"), logging.getLogger("prm_eval")
    if host.handlers and not ours.handlers and not logging.getLogger().handlers:
        for handler in host.handlers:
            ours.addHandler(handler)
        ours.setLevel(host.level)


def count_verdicts(pool: Pool, source: str, most: int | None, count_tokens: CountTokens | None) -> Verdicts:
    """Count the verdicts on a pool.

    Args:
        pool: Graded.
        source: Of the grades.
        most: The largest number of tokens a candidate could have; None where it is not known.
        count_tokens: Of the policy; None where its tokenizer is not at hand.
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
    """Log the counts of verdicts; where many candidates have no answer, how many were cut off and by which setting."""
    setting = next((name for name in LENGTH_SETTINGS if str(arguments.get(name, "")).isdigit()), None)
    # a limit on prompt and answer together says nothing about the answer's own length
    most = int(arguments[setting]) if setting not in (None, "max_length") else None
    found = count_verdicts(pool, source, most, token_counter(model))
    total = sum(found.counts.values())
    said = ", ".join(f"{name} {found.counts[name]:,}" for name in VERDICTS if found.counts[name])
    logger.info("verdicts on %s candidates: %s", f"{total:,}", said)
    without = found.counts["no_answer"]
    if without > SAY_FROM * total:
        logger.warning("%s", _without_answer(found, without, total, setting, arguments))


def _without_answer(
    found: Verdicts, without: int, total: int, setting: str | None, arguments: Mapping[str, Any]
) -> str:
    text = f"{without:,} of {total:,} candidates ({100 * without / total:.0f} %) have no answer"
    if not found.unfinished:
        return f"{text}; all of them end as finished texts do. Look at a few: prm-eval explain GOLD TEXT"
    how = "reach the limit" if found.by_length else "end in the middle of a sentence"
    cut = [f"{setting}={arguments[setting]}"] if setting else []
    cut += [f"until={arguments['until']}"] if arguments.get("until") else []
    by = f" (cut by {' or '.join(cut)})" if cut else ""
    more = f". Was it too small? --gen_kwargs {setting}={2 * int(arguments[setting])}" if setting else ""
    return f"{text}; {found.unfinished:,} of these {how}{by}{more}"


def token_counter(model: Any) -> CountTokens | None:
    """Return what counts the tokens of a text for a policy that runs here; None for one behind a server, or none at all."""
    tokenizer = getattr(unwrapped(model), "tokenizer", None) if model is not None else None
    encode = getattr(tokenizer, "encode", None)
    if encode is None or not callable(getattr(tokenizer, "decode", None)):
        return None
    return lambda text: len(encode(text, add_special_tokens=False))


def print_last(text: str) -> None:
    """Write to standard output, where lm_eval's own table goes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_table(found: Evaluation, pool: Pool) -> None:
    """Say our table after everything else: at the end of ``prm-eval run``, of ``lm_eval run``, or, in Python, now."""
    text = (
        f"\n{text_table(found)}\nlimits of all n, a chart and a page: prm-eval evaluate {pool.path} --html report.html"
    )
    notes = current_notes()
    if notes is not None:
        notes.last_words.append(text)
    elif Path(sys.argv[0]).name in ("lm_eval", "lm-eval", "lm_eval.exe"):
        atexit.register(print_last, text)
    else:
        logger.info("%s", text)
