"""The importer of inspect_ai's logs: ``.eval`` archives and ``.json`` logs.

Shape: an archive has ``header.json`` and ``samples/ID_epoch_E.json``; a JSON log is the header with ``samples: [..]``.
A sample has ``id, epoch, input`` (text or messages), ``choices, target, output{choices, completion, usage},
scores{NAME: {value, answer}}, error``.

Read: epochs are slots; a sample that ended in an error leaves its slot missing. The first scorer whose values are
verdicts (C, I and N, true and false, 1 and 0) gives the labels. Of several targets none is gold: the labels say what is
right. The log is read with inspect_ai where that is installed; otherwise here, as far as its shape is the one above.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.importers.building import Given, build, label_of, problem_of, single_target
from prm_eval.importers.chats import content_of, statement_in
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, count_or_none
from prm_eval.importers.rows import of_metadata
from prm_eval.importers.runs import OneModel
from prm_eval.importers.sources import Source, SourceFile
from prm_eval.store.jsonl import MAX_LINE_BYTES, Row

HINT = "With inspect_ai installed any of its logs can be read: pip install inspect_ai"
_ZSTD = 93  # the zip format's number for it; Python's zipfile reads it from 3.14 on
_UNREAD = {"events", "store"}


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return isinstance(row.get("eval"), dict) and "plan" in row


class LogReader:
    """A reader of logs."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every sample id, in the order of its first epoch."""
        models = OneModel(self._source)
        for file in self._source.files:
            with open_log(file) as log:
                models.require(_model(log), file.path)
                for number, (name, epochs) in enumerate(log.groups().items(), 1):
                    yield partial(_problem, log, name, epochs, number, wanted)

    def about(self) -> About:
        """Return model, sampling and task of the first log."""
        with open_log(self._source.files[0]) as log:
            policy = _model(log)
        run = log.header.get("eval", {})
        plan = log.header.get("plan") or {}
        config = {**(plan.get("config") or {}), **(run.get("model_generate_config") or {})}
        packages = run.get("packages")
        return About(
            policy=policy,
            sampling={name: value for name, value in config.items() if value is not None},
            source={"inspect_ai": {"task": run.get("task"), "created": run.get("created"), "packages": packages}},
        )


FORMAT = Format("inspect", "inspect_ai logs (.eval, .json)", recognise, LogReader)


def _model(log: Log) -> str:
    return str(log.header.get("eval", {}).get("model"))


class Log:
    """A log: its header, and its samples by id and epoch, which can be read until it is closed.

    Attributes:
        path: The file.
        header: The header.
    """

    def __init__(
        self,
        path: Path,
        header: dict[str, Any],
        samples: dict[tuple[str, int], Callable[[], Any]],
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.path, self.header, self._samples, self._close = path, header, samples, close

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def groups(self) -> dict[str, list[int]]:
        """Return the epochs of every sample id."""
        found: dict[str, list[int]] = {}
        for name, epoch in self._samples:
            found.setdefault(name, []).append(epoch)
        return {name: sorted(epochs) for name, epochs in found.items()}

    def sample(self, name: str, epoch: int, number: int) -> Row:
        """Return one sample.

        Raises:
            DataError: It cannot be read.
        """
        value = self._samples[name, epoch]()
        if not isinstance(value, dict):
            raise DataError(self.path, number, f"a sample of type {type(value).__name__}", "an object")
        return Row(self.path, number, _with_attachments(value))


def open_log(file: SourceFile) -> Log:
    """Return a log.

    Raises:
        DataError: It cannot be read.
    """
    if find_spec("inspect_ai") is not None:
        return _by_package(file.path)
    return _archive(file.path) if file.shape == "zip" else _document(file)


def header_of(path: Path) -> dict[str, Any]:
    """Return the header of an archive.

    Raises:
        DataError: It is no log of inspect_ai.
    """
    with _Archive(path) as archive:
        return archive.header()


def _by_package(path: Path) -> Log:
    from inspect_ai.log import read_eval_log, read_eval_log_sample, read_eval_log_sample_summaries

    def read(name: Any, epoch: int) -> Any:
        return read_eval_log_sample(str(path), id=name, epoch=epoch).model_dump(mode="json", exclude=_UNREAD)

    try:
        header = read_eval_log(str(path), header_only=True).model_dump(mode="json", exclude_none=True)
        summaries = read_eval_log_sample_summaries(str(path))
    except Exception as error:
        # the package raises what its parsers raise; each means that this log cannot be read
        raise DataError(path, None, f"a log that inspect_ai cannot read ({error})", "a whole log") from error
    return Log(path, header, {(str(each.id), each.epoch): partial(read, each.id, each.epoch) for each in summaries})


def _document(file: SourceFile) -> Log:
    header = next((place.load().fields for place in file.places()), {})
    samples = header.get("samples")
    if not isinstance(samples, list):
        raise DataError(file.path, None, "a log without samples", "a log that was made with them", HINT)
    return Log(
        file.path,
        header,
        {_key(file.path, each): partial(_same, each) for each in samples if isinstance(each, dict)},
    )


def _same(value: Any) -> Any:
    return value


def _key(path: Path, sample: dict[str, Any]) -> tuple[str, int]:
    epoch = sample.get("epoch", 1)
    if not isinstance(epoch, int) or "id" not in sample:
        raise DataError(path, None, "a sample without id or epoch", "both", HINT)
    return str(sample["id"]), epoch


def _archive(path: Path) -> Log:
    archive = _Archive(path)
    try:
        samples: dict[tuple[str, int], Callable[[], Any]] = {}
        for key, name in archive.samples().items():
            samples[key] = partial(archive.value, name)
        return Log(path, archive.header(), samples, archive.close)
    except DataError:
        archive.close()
        raise


class _Archive:
    """An archive that is opened once, whatever the number of its samples: its list of files grows with them, too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = path.open("rb")
        try:
            self._zip = zipfile.ZipFile(self._stream)
        except zipfile.BadZipFile as error:
            self._stream.close()
            raise _no_log(path, error) from None

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()
        self._stream.close()

    def header(self) -> dict[str, Any]:
        try:
            header = self.value("header.json")
        except (zipfile.BadZipFile, KeyError) as error:
            raise _no_log(self._path, error) from None
        if not isinstance(header, dict):
            raise DataError(self._path, None, f"a header.json of type {type(header).__name__}", "an object", HINT)
        return header

    def samples(self) -> dict[tuple[str, int], str]:
        """Return the names of the samples' files by id and epoch."""
        found = {}
        for info in self._zip.infolist():
            stem, _, epoch = info.filename.removeprefix("samples/").removesuffix(".json").rpartition("_epoch_")
            if info.filename.startswith("samples/") and epoch.isdecimal():
                found[stem, int(epoch)] = info.filename
        return found

    def value(self, name: str) -> Any:
        """Return the JSON value of a file, which may be compressed with zstd."""
        info = self._zip.getinfo(name)
        if info.file_size > MAX_LINE_BYTES:
            raise DataError(
                self._path, None, f"{name} of {info.file_size:,} bytes", f"at most {MAX_LINE_BYTES:,} bytes"
            )
        return _json(self._path, self._zstd(info) if info.compress_type == _ZSTD else self._plain(info))

    def _plain(self, info: zipfile.ZipInfo) -> bytes:
        with self._zip.open(info) as stream:
            return stream.read(MAX_LINE_BYTES)

    def _zstd(self, info: zipfile.ZipInfo) -> bytes:
        import pyarrow as pa

        self._stream.seek(info.header_offset + 26)
        lengths = self._stream.read(4)
        self._stream.seek(int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), 1)
        packed = self._stream.read(info.compress_size)
        try:
            return bytes(pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read(info.file_size))
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                self._path, None, f"{info.filename} that cannot be unpacked ({error})", "a whole archive", HINT
            ) from None


def _no_log(path: Path, error: Exception) -> DataError:
    return DataError(path, None, f"a zip archive ({error})", "an inspect_ai log: an archive with header.json")


def _json(path: Path, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(path, None, f"text that is not JSON ({error})", "a whole log", HINT) from None


def _with_attachments(sample: dict[str, Any]) -> dict[str, Any]:
    """Return a sample with the texts that the log keeps apart put back where they belong."""
    attachments = sample.get("attachments")
    if not isinstance(attachments, dict) or not attachments:
        return sample

    def put_back(value: Any) -> Any:
        if isinstance(value, str):
            return (
                attachments.get(value.removeprefix("attachment://"), value)
                if value.startswith("attachment://")
                else value
            )
        if isinstance(value, list):
            return [put_back(each) for each in value]
        return {name: put_back(each) for name, each in value.items()} if isinstance(value, dict) else value

    return {name: put_back(value) for name, value in sample.items() if name not in _UNREAD}


def _problem(log: Log, name: str, epochs: list[int], number: int, wanted: Wanted) -> ImportedProblem:
    rows = {epoch: log.sample(name, epoch, number) for epoch in epochs}
    first = rows[epochs[0]]
    remarks: list[str] = []
    target = single_target(first.fields.get("target"), remarks)
    # the row's own id is the name of the problem, which may not be a text
    named = {"problem_id": str(first.fields.get("id")), **of_metadata(first)}
    problem = problem_of(first, _statement(first), target, name, **named)
    scorer = _scorer(list(rows.values()))
    given = [_given(rows[epoch], scorer) if epoch in rows else None for epoch in range(1, max(epochs) + 1)]
    if any(each is None for each in given):
        remarks.append("a sample that ended in an error: its slot is missing")
    if scorer:
        remarks.append(f"labels are those of the scorer {scorer}")
    return build(first, problem, given, wanted, remarks=remarks)


def _statement(row: Row) -> str:
    found = statement_in(row.fields.get("input"))
    if found is None:
        raise row.fault("an input without a message of the user", "a text, or a list of messages")
    choices = row.fields.get("choices")
    if isinstance(choices, list) and choices:
        lines = (f"{chr(ord('A') + i)}) {choice}" for i, choice in enumerate(choices))
        return "\n".join([found, *lines])
    return found


def _scorer(rows: list[Row]) -> str | None:
    """Return the first scorer that gives every sample a verdict."""
    finished = [row for row in rows if _text(row) is not None]
    for name in (finished[0].fields.get("scores") or {}) if finished else ():
        if all(_verdict(row, name) is not None for row in finished):
            return str(name)
    return None


def _verdict(row: Row, scorer: str) -> bool | None:
    score = (row.fields.get("scores") or {}).get(scorer)
    return label_of(score.get("value")) if isinstance(score, dict) else None


def _text(row: Row) -> str | None:
    output = row.fields.get("output")
    choices = output.get("choices") if isinstance(output, dict) else None
    if not choices or row.fields.get("error"):
        return None
    completion = output.get("completion")  # type: ignore[union-attr]
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    text = content_of(message) if isinstance(message, dict) else None
    return completion if isinstance(completion, str) and completion else text


def _given(row: Row, scorer: str | None) -> Given | None:
    text = _text(row)
    if text is None:
        return None
    output = row.fields["output"]
    usage = output.get("usage") or {}
    score = (row.fields.get("scores") or {}).get(scorer) if scorer else None
    answer = score.get("answer") if isinstance(score, dict) else None
    whole = not isinstance(answer, str) or " ".join(answer.lower().split()) == " ".join(text.lower().split())
    return Given(
        "output",
        row.required_text("text", where={"text": text}, label="output.completion"),
        answer=None if whole else answer,  # some scorers call the whole text the answer
        correct=_verdict(row, scorer) if scorer else None,
        n_tokens=count_or_none(usage.get("output_tokens")),
        finish_reason=row.text("stop_reason", where=output["choices"][0], label="stop_reason"),
        row=row,
    )
