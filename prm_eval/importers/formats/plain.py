"""The importer of plain JSONL: one problem a line, with its candidates in ``samples``.

Row fields: a problem in any spelling of :func:`prm_eval.pools.problem_sets.problem_from_row`, ``samples``, optionally
``generator`` or ``policy``, ``verifier`` or ``reward_model``, ``score_type`` (a type, or types by field), ``rewards``
(reward model -> one entry a candidate). Sample fields: ``text`` (or ``steps``), optionally ``answer``, ``correct``
(published label), ``score`` (one number), ``step_scores`` (one a step), ``rewards`` (reward model -> a number, or one a
step), ``token_scores`` with ``tokens`` (a step ends at a newline token and is read there; the last step is read at the
last score, the end of the text), ``n_tokens``, ``finish_reason``. A sample that is null is a missing slot.

Where the first row gives the steps of all its samples, ``given`` is the splitter.
"""

from __future__ import annotations

from typing import Any

from prm_eval.importers.building import Given, ScoreField, build
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, count, flag, numbers, text_list
from prm_eval.importers.rows import RowReader
from prm_eval.importers.score_types import by_format
from prm_eval.pools.problem_sets import problem_from_row
from prm_eval.store.jsonl import Row

NEWLINE_TOKEN = 13  # in the Llama and Mistral vocabularies of the published token scores

ROW_FIELDS = (
    *("statement", "problem", "question", "gold", "ground_truth_answer", "answer", "solution"),
    *("problem_id", "unique_id", "id"),
    *("subject", "type", "level", "samples", "policy", "generator", "verifier", "reward_model"),
    *("score_type", "rewards"),
)
SAMPLE_FIELDS = (
    *("text", "response", "completion", "steps", "n_tokens", "finish_reason", "answer", "correct"),
    *("score", "step_scores", "token_scores", "tokens", "rewards"),
)


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return "samples" in row and "eval" not in row  # inspect_ai's logs have both


def splitter(row: dict[str, Any]) -> str:
    """Return "given" where the first row has the steps of all its samples, else "line"."""
    samples = row.get("samples")
    present = [each for each in samples if each is not None] if isinstance(samples, list) else []
    steps = present and all(isinstance(each, dict) and isinstance(each.get("steps"), list) for each in present)
    return "given" if steps else "line"


class PlainReader(RowReader):
    """A reader of plain JSONL."""

    def read(self, row: Row, wanted: Wanted) -> ImportedProblem:
        """Return the problem of a row."""
        return read_problem(row, wanted)

    def about(self) -> About:
        """Return the names of the generators in the rows, joined by " + "."""
        names: set[str] = set()
        for row in self._source.rows():
            name = row.fields.get("policy") or row.fields.get("generator")
            names |= {str(name)} if name else set()
        return About(policy=" + ".join(sorted(names)) or None)


FORMAT = Format("plain", "one problem a line, with samples: [{text, ...}]", recognise, PlainReader, splitter)


def read_problem(row: Row, wanted: Wanted) -> ImportedProblem:
    """Return the problem of one row.

    Raises:
        DataError: The row has a fault.
    """
    problem = problem_from_row(row, default_id=f"{row.path.stem}/{row.number}")
    samples = row.fields.get("samples")
    if not isinstance(samples, list) or not samples:
        raise row.fault(
            f"samples = {type(samples).__name__}{'' if samples else ', empty'}", "a list of at least one sample"
        )
    of_row = _rewards_of_row(row, len(samples))
    given: list[Given | None] = []
    for slot, sample in enumerate(samples):
        if sample is not None and not isinstance(sample, dict):
            raise row.fault(
                f"samples[{slot}] of type {type(sample).__name__}", "an object, or null for a missing candidate"
            )
        rewards = {name: entries[slot] for name, entries in of_row.items()}
        given.append(None if sample is None else _given(row, slot, sample, rewards))
    return build(row, problem, given, wanted, _fields(row, given), ignored=_ignored(row, samples))


def _fields(row: Row, given: list[Given | None]) -> list[ScoreField]:
    verifier = row.text("verifier", "reward_model")
    named = {
        "score": ScoreField("score", "orm", _named(verifier, "score")),
        "step_scores": ScoreField("step_scores", "prm", _named(verifier, "step_scores")),
        # the values of a head that was trained by regression leave [0, 1] a little
        "token_scores": ScoreField(
            "token_scores",
            "prm",
            _named(verifier, "token_scores"),
            by_format("probability"),
            strict=False,
            # a value model is read at the end; its regression head may leave [0, 1], so nothing is multiplied
            aggregation="last",
        ),
    }
    seen = dict.fromkeys(name for each in given if each is not None for name in each.scores)
    return [
        *(field for name, field in named.items() if name in seen),
        *(ScoreField(name, label=f"rewards[{name!r}]") for name in seen if name not in named),
    ]


def _named(verifier: str | None, name: str) -> str:
    return f"{verifier} {name}" if verifier else name


def _rewards_of_row(row: Row, n: int) -> dict[str, list[Any]]:
    """Return the row's own ``rewards``: reward model -> one entry a sample."""
    found = row.fields.get("rewards")
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise row.fault(f"rewards of type {type(found).__name__}", "an object: reward model -> one entry a sample")
    for name, entries in found.items():
        if not isinstance(entries, list) or len(entries) != n:
            there = len(entries) if isinstance(entries, list) else type(entries).__name__
            raise row.fault(f"rewards[{name!r}] with {there} entries for {n} samples", "one entry a sample")
    return found


def _ignored(row: Row, samples: list[dict[str, Any] | None]) -> tuple[str, ...]:
    """Return the names of fields that the importer does not read, so that misspelt ones are noticed."""
    present = [sample for sample in samples if sample is not None]
    known = set(SAMPLE_FIELDS)
    if all(sample.get("correct") is None for sample in present):
        # without labels the answers of candidates are taken from their texts
        known.discard("answer")
    names = {f"samples[].{name}" for sample in present for name in sample if name not in known}
    return (*(name for name in row.fields if name.lower() not in ROW_FIELDS), *sorted(names))


def _given(row: Row, slot: int, sample: dict[str, Any], rewards: dict[str, Any]) -> Given:
    place = f"samples[{slot}]"
    steps = _steps(row, place, sample)
    text = row.text("text", "response", "completion", where=sample, label=f"{place}.text")
    if text is None and steps is not None:
        text = "\n".join(steps)
    if text is None:
        raise row.fault(f"{place} without text (fields: {', '.join(sorted(sample)) or 'none'})", "a field text")
    in_every = "true or false (in every sample, or in none)"
    correct = flag(row, sample.get("correct"), f"{place}.correct", in_every)
    return Given(
        place,
        text,
        steps,
        row.text("answer", where=sample, label=f"{place}.answer") if correct is not None else None,
        correct,
        count(row, sample.get("n_tokens"), f"{place}.n_tokens"),
        row.text("finish_reason", where=sample, label=f"{place}.finish_reason"),
        {**_own_scores(row, place, sample, text), **rewards, **_rewards_of_sample(row, place, sample)},
    )


def _steps(row: Row, place: str, sample: dict[str, Any]) -> tuple[str, ...] | None:
    given = sample.get("steps")
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(step, str) for step in given):
        raise row.fault(f"{place}.steps that is not a list of text", "a list of text")
    return tuple(text_list(row, given, f"{place}.steps"))


def _own_scores(row: Row, place: str, sample: dict[str, Any], text: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: sample[name] for name in ("score", "step_scores") if name in sample}
    if "token_scores" in sample:
        scored = sample["token_scores"] is not None
        found["token_scores"] = _at_newlines(row, place, sample, text) if scored else None
    return found


def _rewards_of_sample(row: Row, place: str, sample: dict[str, Any]) -> dict[str, Any]:
    rewards = sample.get("rewards")
    if rewards is None:
        return {}
    if not isinstance(rewards, dict):
        raise row.fault(
            f"{place}.rewards of type {type(rewards).__name__}", "an object: reward model -> a number, or one a step"
        )
    return rewards


def _at_newlines(row: Row, place: str, sample: dict[str, Any], text: str) -> list[float]:
    """Return the values at the newline tokens and at the end; the end of an empty line is no end of a step."""
    scores = numbers(row, sample["token_scores"], f"{place}.token_scores")
    tokens = sample.get("tokens")
    if not isinstance(tokens, list) or len(scores) != len(tokens) + 1:
        found = len(tokens) if isinstance(tokens, list) else tokens
        raise row.fault(
            f"{place}: {len(scores)} token_scores for {found} tokens", "one score a token and one at the end"
        )
    at_newlines = [score for token, score in zip(tokens, scores, strict=False) if token == NEWLINE_TOKEN]
    lines = text.split("\n")
    if len(at_newlines) != len(lines) - 1:
        raise row.fault(
            f"{place}: {len(at_newlines)} newline tokens in a text of {len(lines)} lines", f"{len(lines) - 1}"
        )
    return [score for line, score in zip(lines, [*at_newlines, scores[-1]], strict=True) if line.strip()]
