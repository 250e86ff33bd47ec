"""Checkpoints: config, tokenizer and weights. No code from a checkpoint is run and no pickle is loaded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.store.jsonl import file_sha256

DTYPES = ("float32", "bfloat16", "float16")
INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = (
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "merges.txt", "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model", "tokenizer_config.json", "vocab.json",
)  # fmt: skip
HOW_TO_CONVERT = (
    "pickled weights are not loaded. Convert them once where you trust them (transformers: "
    "AutoModelForCausalLM.from_pretrained(NAME).save_pretrained(FOLDER)) and give the folder with --recipe, or use a "
    "revision of "
    "the repository that has *.safetensors (many have one as --revision refs/pr/N)"
)


def load(what: str, auto_class: str, name: str, revision: str | None) -> Any:
    """Return a config ("AutoConfig") or tokenizer ("AutoTokenizer").

    Raises:
        ModelError: transformers is missing, or it cannot be loaded.
    """
    try:
        import transformers
    except ImportError:
        raise ModelError("checkpoints need torch and transformers: pip install 'prm_eval[hf]'") from None
    return from_pretrained(getattr(transformers, auto_class), name, revision, what=what)


def from_pretrained(loader: Any, name: str, revision: str | None, *, what: str = "model", **options: Any) -> Any:
    """Call a transformers loader, never with a checkpoint's own code.

    Raises:
        ModelError: With the first line of what transformers says.
    """
    try:
        return loader.from_pretrained(name, revision=revision, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"the {what} of {name!r} cannot be loaded: {first_line}") from error


def weight_hashes(name: str) -> dict[str, str]:
    """Return the SHA-256 of a local checkpoint's weight files; empty for a hub id, whose revision pins them.

    Raises:
        ModelError: A folder without safetensors weights.
    """
    return {path.name: file_sha256(path) for path in weight_files(name)} if Path(name).is_dir() else {}


def weight_files(name: str) -> list[Path]:
    """Return the weight files of a folder.

    Raises:
        ModelError: It has no safetensors weights.
    """
    folder = Path(name)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        others = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise ModelError(f"{name} has no *.safetensors weights (it has {others}); {HOW_TO_CONVERT}")
    return files


def input_hashes(name: str) -> dict[str, str]:
    """Return the SHA-256 of what a local checkpoint's config and tokenizer files say; empty for a hub id, whose revision pins them.

    Both decide a number as the weights do: the one by positions and scales, the other by ids and chat template.
    """
    folder = Path(name)
    found = {}
    if (folder / "config.json").is_file():
        found["config_sha256"] = file_sha256(folder / "config.json")
    files = [file for file in TOKENIZER_FILES if (folder / file).is_file()]
    if files:
        parts = "".join(f"{file} {file_sha256(folder / file)}\n" for file in files)
        found["tokenizer_sha256"] = hashlib.sha256(parts.encode()).hexdigest()
    return found


def config_hash(name: str) -> str | None:
    """Return the SHA-256 of a local checkpoint's ``config.json``; None for a hub id, whose revision pins it."""
    path = Path(name) / "config.json"
    return file_sha256(path) if path.is_file() else None


def snapshot_commit(name: str) -> str | None:
    """Return the commit of a folder of the hub's cache (``.../snapshots/<commit>``), None for any other folder or name."""
    parent, _, commit = name.rstrip("/").rpartition("/")
    return commit if parent.endswith("/snapshots") and re.fullmatch("[0-9a-f]{40}", commit) else None


def require_safetensors(name: str, revision: str | None) -> None:
    """Refuse a checkpoint that has only pickled weights, while nothing has been read or downloaded; offline nothing is asked.

    Raises:
        ModelError: It has none.
    """
    import huggingface_hub

    if Path(name).is_dir():
        weight_files(name)
        return
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return
    try:
        files = huggingface_hub.list_repo_files(name, revision=revision)
    except Exception:  # no network, whatever the http client of the day raises: loading will say so
        return
    if not any(file.endswith(".safetensors") for file in files):
        raise ModelError(f"{name} has no *.safetensors weights; {HOW_TO_CONVERT}")


def local_folder(name: str, revision: str | None) -> Path:
    """Return the folder of a checkpoint, downloading safetensors and JSON files (nothing else) of a hub id.

    Raises:
        ModelError: It cannot be had.
    """
    if Path(name).is_dir():
        return Path(name)
    import huggingface_hub

    try:
        return Path(
            huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=["*.safetensors", "*.json"])
        )
    except Exception as error:  # http clients differ between versions of huggingface_hub
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"the weights of {name!r} cannot be had: {first_line}") from error


def tensor_files(folder: Path) -> dict[str, Path]:
    """Return the file of every tensor of a checkpoint, by the shard index or by looking into the files.

    Raises:
        ModelError: No weights, or a shard that the index names is missing.
    """
    from safetensors import safe_open

    index = folder / INDEX
    if index.is_file():
        try:
            names = {
                str(key): folder / Path(str(file)).name
                for key, file in json.loads(index.read_bytes())["weight_map"].items()
            }
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelError(f"{index} is not a shard index: {error}") from None
        missing = sorted({path.name for path in names.values() if not path.is_file()})
        if missing:
            raise ModelError(f"{folder} lacks {', '.join(missing)}, which {INDEX} names")
        return names
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            found.update(dict.fromkeys(file.keys(), path))
    if not found:
        raise ModelError(f"{folder} has no *.safetensors weights; {HOW_TO_CONVERT}")
    return found


def read_tensors(files: dict[str, Path], names: Sequence[str]) -> dict[str, Any]:
    """Return tensors by name, on the CPU, as stored."""
    from safetensors import safe_open

    result: dict[str, Any] = {}
    for name in names:
        with safe_open(files[name], framework="pt") as file:
            result[name] = file.get_tensor(name)
    return result


def load_trunk(folder: Path, config: Any, dtype: str, name: str, allowed: Sequence[str]) -> Any:
    """Return the decoder without its head, in evaluation mode on the CPU.

    The class is transformers' own for the config's type, whatever architecture or remote code the config names.

    Args:
        folder: Of the checkpoint.
        config: Its config.
        dtype: Of the weights.
        name: For messages.
        allowed: Prefixes of tensors that are not the trunk's: the head.

    Raises:
        ModelError: Tensors are missing, left over or of the wrong shape: random weights give plausible numbers.
    """
    import torch
    import transformers

    try:
        trunk_class = transformers.MODEL_MAPPING[type(config)]
    except KeyError:
        raise ModelError(f"{name}: transformers has no decoder for the model type {config.model_type!r}") from None
    if isinstance(trunk_class, (tuple, list)):
        trunk_class = trunk_class[0]
    with _quiet():
        trunk, info = from_pretrained(
            trunk_class,
            str(folder),
            None,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            output_loading_info=True,
        )
    missing = sorted(info.get("missing_keys", ()))
    wrong = sorted(str(key) for key in info.get("mismatched_keys", ()))
    left = sorted(
        key
        for key in info.get("unexpected_keys", ())
        if not key.startswith(tuple(allowed)) and not key.endswith("rotary_emb.inv_freq")
    )
    for what, keys in (
        ("lacks", missing),
        ("has tensors of another shape", wrong),
        ("has tensors that the model does not know", left),
    ):
        if keys:
            raise ModelError(
                f"{name} {what}: {', '.join(keys[:5])}{' ...' if len(keys) > 5 else ''} ({trunk_class.__name__})"
            )
    return trunk.eval()  # torch's inference mode: dropout off; evaluates no text


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting the head as unexpected: what is really left over is an error of ours."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def device_and_dtype(device: str | None, dtype: str | None) -> tuple[str, str]:
    """Default to the first GPU in bfloat16, else to the CPU in float32.

    Raises:
        ModelError: No such device or dtype.
    """
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.device(chosen)
    except RuntimeError as error:
        raise ModelError(f"device {chosen!r}: {str(error).splitlines()[0]}") from None
    if chosen.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {chosen!r}: this machine has no CUDA device that torch can use")
    if chosen.startswith("cuda:") and int(chosen[5:]) >= torch.cuda.device_count():
        raise ModelError(
            f"device {chosen!r}: this machine has {torch.cuda.device_count()} CUDA devices, counted from 0"
        )
    kind = dtype or ("float32" if chosen.startswith("cpu") else "bfloat16")
    if kind not in DTYPES:
        raise ModelError(f"dtype {kind!r}; expected one of {', '.join(DTYPES)}")
    return chosen, kind


def positive(name: str, value: int | str | None) -> int | None:
    """Return an option as a positive whole number, None where it is not given.

    Raises:
        ModelError: It is something else.
    """
    if value is None:
        return None
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ModelError(f"{name} = {value!r}; expected a positive whole number")
    return number
