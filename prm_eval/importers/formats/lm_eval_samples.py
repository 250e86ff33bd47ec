"""The importer of lm_eval's ``samples_*.jsonl``: one row for each filter and problem, with all responses.

Shape of a row: ``doc_id, doc, target, arguments, resps: [[text]], filtered_resps, filter, doc_hash`` and metrics. Rows
of other filters repeat the same responses: they are one problem if document, ``doc_id`` and ``resps`` agree. Documents
are told apart by ``doc_hash``, in older logs, which have none, by their content; never by ``doc_id`` alone, which
lm_eval mislabels under ``--samples`` and which every task counts from 0. ``resps`` with a list for every repeat
(``[["a"], ["b"]]``) are as many slots.

The ``results_*.json`` beside the log says policy, sampling, prompt and versions.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prm_eval.importers.building import Given, build
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted
from prm_eval.importers.grouped import grouped_problems
from prm_eval.importers.rows import object_or_empty, results_in
from prm_eval.importers.runs import APART, OneModel, require_one_run
from prm_eval.importers.sources import Source
from prm_eval.pools.problem_sets import problem_from_row
from prm_eval.store.jsonl import Row

LONGEST_PROMPT = 20_000
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T[\d.:_-]+\d")


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return "resps" in row and "doc" in row


class SamplesReader:
    """A reader of sample logs."""

    def __init__(self, source: Source) -> None:
        self._source = source
        require_one_run(source)  # lm_eval makes a folder of each model
        self._homes: dict[str, dict[str, Path]] = {}  # document -> problem -> file

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem, by first appearance, and for every row that names none."""
        self._homes = {}
        return grouped_problems(self._source, self._key, lambda rows, name: self._problem(rows, name, wanted))

    def _key(self, row: Row) -> str:
        """Return a name of the problem: the document's hash, with a number where a document comes again."""
        doc = row.fields.get("doc")
        document = row.text("doc_hash") or "doc/" + _digest(doc)
        known = self._homes.setdefault(document, {})
        which = _digest([row.fields.get("doc_id"), row.fields.get("resps"), doc])
        home = known.setdefault(which, row.path)
        if home != row.path:  # the same responses in two files: one run, logged twice
            raise row.fault(f"a problem that {home.name} has with the same responses", "each problem once")
        if len(set(known.values())) > 1:
            other = next(path for path in known.values() if path != row.path)
            raise row.fault(
                f"a document that {other.name} has with other responses",
                "each document in one file",
                APART,
            )
        place = list(known).index(which)
        return document if not place else f"{document}/{place + 1}"

    def _problem(self, rows: list[Row], name: str, wanted: Wanted) -> ImportedProblem:
        row = rows[0]
        doc = row.fields.get("doc")
        if not isinstance(doc, dict):
            raise row.fault(f"doc of type {type(doc).__name__}", "an object")
        default_id = name.removeprefix("doc/")
        problem = problem_from_row(Row(row.path, row.number, doc), default_id)
        # the answer of a question with choices may be the number of one, where the target is its letter
        if problem.gold is None or (doc.get("choices") and row.fields.get("target") is not None):
            target = {"gold": row.fields.get("target")}
            problem = problem_from_row(Row(row.path, row.number, {**doc, **target}), default_id)
        given = [
            Given(f"resps[{i}][{j}]", row.required_text("text", where={"text": text}, label=f"resps[{i}][{j}]"))
            for i, j, text in _responses(row)
        ]
        return build(row, problem, given, wanted)

    def about(self) -> About:
        """Return what the first row and the ``results_*.json`` beside it say."""
        first = next(self._source.rows(), None)
        prompt, sampling = _request(first.fields.get("arguments")) if first is not None else (None, {})
        results = _results_beside(self._source.files[0].path)
        models = OneModel(self._source)
        for file in self._source.files:
            if beside := _results_beside(file.path):
                models.require(_policy(beside[1]).get("id"), file.path)
        if results is None:
            return About(sampling=sampling, source=_prompt(prompt, {}, {}))
        path, found = results
        config = object_or_empty(found.get("config"))
        policy = _policy(found)
        return About(
            policy=policy.get("id"),
            revision=policy.get("revision"),
            sampling=sampling,
            source={**_prompt(prompt, found, config), "results": path.name},
            notes=(f"policy, prompt and versions are those of {path.name}",),
        )


FORMAT = Format("lm_eval", "lm_eval samples_*.jsonl", recognise, SamplesReader)


def _digest(value: Any) -> str:
    spelt = json.dumps(value, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(spelt.encode()).hexdigest()[:32]


def _responses(row: Row) -> Iterator[tuple[int, int, str]]:
    """Yield (request, repeat, text); requests with several repeats each are refused, since one slot holds one text."""
    requests = row.fields.get("resps")
    if not isinstance(requests, list) or not requests or not all(isinstance(each, list) for each in requests):
        raise row.fault("resps that are not a list of lists", "the responses of the problem's requests")
    if len(requests) > 1 and any(len(each) != 1 for each in requests):
        sizes = ", ".join(str(len(each)) for each in requests[:5])
        raise row.fault(
            f"resps of {len(requests)} requests ({sizes} responses)", "one request, or one response a request"
        )
    for i, request in enumerate(requests):
        for j, text in enumerate(request):
            if not isinstance(text, str):
                raise row.fault(f"resps[{i}][{j}] of type {type(text).__name__}", "text")
            yield i, j, text


def _request(arguments: Any) -> tuple[str | None, dict[str, Any]]:
    """Return the rendered prompt and the generation arguments of a row, where they are as lm_eval writes them."""
    if isinstance(arguments, dict):  # {"gen_args_0": {"arg_0": prompt, "arg_1": arguments}}
        first = arguments.get("gen_args_0")
        parts = [first.get("arg_0"), first.get("arg_1")] if isinstance(first, dict) else []
    else:  # older: [[prompt, arguments]]
        first = arguments[0] if isinstance(arguments, list) and arguments else None
        parts = list(first) if isinstance(first, list) else []
    prompt, given = (*parts, None, None)[:2]
    return (prompt if isinstance(prompt, str) else None), (dict(given) if isinstance(given, dict) else {})


def _results_beside(path: Path) -> tuple[Path, dict[str, Any]] | None:
    date = _DATE.search(path.name)
    return results_in(path.parent, date.group() if date else None)


def _policy(results: dict[str, Any]) -> dict[str, Any]:
    config = object_or_empty(results.get("config"))
    arguments = config.get("model_args")
    if isinstance(arguments, str):
        pairs = (each.partition("=") for each in arguments.split(","))
        arguments = {name.strip(): value.strip() for name, _, value in pairs}
    arguments = object_or_empty(arguments)
    # without arguments lm_eval makes a model_name of random letters
    other = results.get("model_name") if arguments else config.get("model")
    named = arguments.get("pretrained") or arguments.get("model") or other
    revision = arguments.get("revision") or config.get("model_sha") or None
    return {"id": str(named) if named else None, "revision": str(revision) if revision else None}


def _prompt(prompt: str | None, results: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return what a pool of our own runs says of its prompt, as far as the log has it."""
    versions = results.get("versions")
    template = results.get("chat_template") or config.get("chat_template")
    record = {
        "task": ", ".join(versions) if isinstance(versions, dict) else None,
        "task_version": versions,
        "system": results.get("system_instruction") or config.get("system_instruction"),
        "chat_template": _text(template),
        "num_fewshot": results.get("n-shot"),
        "first_prompt": _text(prompt),
        "seeds": {name: config[name] for name in config if name.endswith("seed") and config[name] is not None} or None,
        "lm_eval_version": results.get("lm_eval_version"),
        "model": config.get("model"),
        "model_args": config.get("model_args"),
    }
    known = {name: value for name, value in record.items() if value not in (None, "")}
    return {"lm_eval": known} if known else {}


def _text(text: Any) -> dict[str, Any] | None:
    if not isinstance(text, str) or not text:
        return None
    sound = text.encode("utf-8", "replace").decode("utf-8")
    return {"text": sound[:LONGEST_PROMPT], "sha256": hashlib.sha256(sound.encode()).hexdigest()}
