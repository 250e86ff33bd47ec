"""Checkpoints: config, tokenizer and weights, without running a checkpoint's code or loading a pickle."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.models import preflight
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.rules import shown

DTYPES = ("float32", "bfloat16", "float16")
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = (
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "merges.txt", "sentencepiece.bpe.model",
    "special_tokens_map.json", "spiece.model", "tekken.json", "tokenizer.json", "tokenizer.model",
    "tokenizer_config.json", "vocab.json", "vocab.txt",
)  # fmt: skip
HOW_TO_CONVERT = (
    "pickled weights are not loaded. Convert them once where you trust them (transformers: "
    "AutoModelForCausalLM.from_pretrained(NAME).save_pretrained(FOLDER)) and give the folder in its place (to train: "
    "--base FOLDER; to score: --reward-model FOLDER with its --recipe), or use a revision of the repository that has "
    "*.safetensors (many have one as --revision refs/pr/N)"
)


def load(what: str, auto_class: str, name: str, revision: str | None) -> Any:
    """Return a config ("AutoConfig") or a tokenizer ("AutoTokenizer").

    Raises:
        ModelError: transformers is missing, or the file cannot be loaded.
    """
    try:
        import transformers
    except ImportError:
        raise ModelError("checkpoints need torch and transformers: pip install 'prm_eval[hf]'") from None
    if Path(name).is_dir():
        preflight.require_plain_files(Path(name))
    if auto_class == "AutoConfig":
        if (path := _file_of(name, preflight.CONFIG, revision)) is not None:
            preflight.check_config(path)
    else:
        for each in preflight.TOKENIZER_CONFIGS:
            if (path := _file_of(name, each, revision)) is not None:
                preflight.check_tokenizer_config(path)
        if (path := _file_of(name, preflight.TOKENIZER, revision)) is not None:
            preflight.check_tokenizer(path)
    return from_pretrained(getattr(transformers, auto_class), name, revision, what=what)


def _file_of(name: str, file: str, revision: str | None) -> Path | None:
    """Return a file of a checkpoint, of a hub id from the cache; None where there is none."""
    if Path(name).is_dir():
        path = Path(name) / file
        return path if path.exists() else None
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(name, file, revision=revision)
    # not there, no network, no such repository: the loader says which
    except Exception:
        return None
    return None if found is None else Path(found)


def from_pretrained(loader: Any, name: str, revision: str | None, *, what: str = "model", **options: Any) -> Any:
    """Return the result of a transformers loader, which never runs a checkpoint's own code.

    Raises:
        ModelError: It cannot be loaded; the message has transformers' error in one line.
    """
    try:
        return loader.from_pretrained(name, revision=revision, trust_remote_code=False, **options)
    # a stranger's files make libraries raise anything, assertions and errors of their own kinds included
    except Exception as error:
        why = " ".join(str(error).split())[:400]
        kind = "" if isinstance(error, (OSError, ValueError)) and why else f"{type(error).__name__}: "
        raise ModelError(f"the {what} of {name!r} cannot be loaded: {kind}{why or 'no reason given'}") from error


def weight_hashes(name: str) -> dict[str, str]:
    """Return the SHA-256 of a local checkpoint's weight files; empty for a hub id, whose revision pins them.

    Raises:
        ModelError: The folder has no safetensors weights.
    """
    return {path.name: file_sha256(path) for path in weight_files(name)} if Path(name).is_dir() else {}


def weight_files(name: str) -> list[Path]:
    """Return the weight files of a folder.

    Raises:
        ModelError: The folder has no safetensors weights, or something in it is no plain file.
    """
    folder = Path(name)
    preflight.require_plain_files(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        others = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise ModelError(f"{name} has no *.safetensors weights (it has {others}); {HOW_TO_CONVERT}")
    return files


def input_hashes(name: str) -> dict[str, str]:
    """Return the SHA-256 of a local checkpoint's config and of its tokenizer files.

    The result is empty for a hub id, whose revision pins them. Both decide a number as the weights do: the config by
    positions and scales, the tokenizer by ids and the chat template.
    """
    folder = Path(name)
    found = {}
    if (folder / "config.json").is_file():
        found["config_sha256"] = file_sha256(folder / "config.json")
    templates = sorted(path.name for path in (folder / preflight.TEMPLATES).glob("*.jinja"))
    names = [*TOKENIZER_FILES, *(f"{preflight.TEMPLATES}/{name}" for name in templates)]
    files = [file for file in names if (folder / file).is_file()]
    if files:
        parts = "".join(f"{file} {file_sha256(folder / file)}\n" for file in files)
        found["tokenizer_sha256"] = hashlib.sha256(parts.encode()).hexdigest()
    return found


def config_hash(name: str) -> str | None:
    """Return the SHA-256 of a local checkpoint's ``config.json``; None for a hub id, whose revision pins it."""
    path = Path(name) / "config.json"
    return file_sha256(path) if path.is_file() else None


def snapshot_commit(name: str) -> str | None:
    """Return the commit of a folder of the hub's cache (``.../snapshots/<commit>``); None for any other name."""
    parent, _, commit = name.rstrip("/").rpartition("/")
    return commit if parent.endswith("/snapshots") and re.fullmatch("[0-9a-f]{40}", commit) else None


def require_safetensors(name: str, revision: str | None) -> None:
    """Refuse a checkpoint that has only pickled weights, before anything is read or downloaded.

    The hub is not asked offline.

    Raises:
        ModelError: The checkpoint has no safetensors weights.
    """
    import huggingface_hub

    if Path(name).is_dir():
        weight_files(name)
        return
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return
    try:
        files = huggingface_hub.list_repo_files(name, revision=revision)
    # no network: http clients differ in what they raise, and the error of loading says so
    except Exception:
        return
    if not any(file.endswith(".safetensors") for file in files):
        raise ModelError(f"{name} has no *.safetensors weights; {HOW_TO_CONVERT}")


def local_folder(name: str, revision: str | None) -> Path:
    """Return the folder of a checkpoint; of a hub id, safetensors and JSON files are downloaded and nothing else.

    Raises:
        ModelError: The files cannot be downloaded.
    """
    if Path(name).is_dir():
        return Path(name)
    import huggingface_hub

    try:
        return Path(
            huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=["*.safetensors", "*.json"])
        )
    # http clients differ between versions of huggingface_hub
    except Exception as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"the weights of {name!r} cannot be had: {first_line}") from error


def tensor_files(folder: Path) -> dict[str, Path]:
    """Return the file of each tensor of a checkpoint, by the shard index or else from the files themselves.

    Raises:
        ModelError: There are no weights, a file is malformed, a shard that the index names is missing, or a tensor is
            there twice: transformers would take one of the two, and we the other.
    """
    return {name: path for path, names in weight_headers(folder).items() for name in names}


def weight_headers(folder: Path) -> dict[Path, dict[str, preflight.Tensor]]:
    """Return the headers of the weight files that a checkpoint consists of.

    Raises:
        ModelError: As :func:`tensor_files`.
    """
    preflight.require_plain_files(folder)
    index, whole = folder / INDEX, folder / WEIGHTS
    if not index.is_file():
        found = {path: preflight.header_of(path) for path in sorted(folder.glob("*.safetensors"))}
        if not found:
            raise ModelError(f"{folder} has no *.safetensors weights; {HOW_TO_CONVERT}")
        preflight.require_once(found)
        return found
    if whole.exists():
        raise preflight.fault(folder, f"both {WEIGHTS} and {INDEX}", "one of the two: which weights count?")
    names = preflight.read_json_object(index).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(file, str) for file in names.values()):
        raise ModelError(f"{index} is not a shard index: found no weight_map; expected tensors and their files")
    for file in names.values():
        # transformers would load the path as it stands, a pickle too, and we the file of that name in the folder
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise preflight.fault(index, f"the weight file {shown(file)}", "the name of a *.safetensors file beside it")
    files = sorted({folder / file for file in names.values()})
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise ModelError(f"{folder} lacks {', '.join(missing)}, which {INDEX} names")
    found = {path: preflight.header_of(path) for path in files}
    preflight.require_once(found)
    for name, file in names.items():
        if name not in found[folder / file]:
            raise preflight.fault(index, f"the tensor {shown(name)} in {shown(file)}", "one that is in the file")
    return found


def read_tensors(files: dict[str, Path], names: Sequence[str]) -> dict[str, Any]:
    """Return tensors by name, on the CPU, as stored.

    Raises:
        ModelError: A file is malformed.
    """
    from safetensors import SafetensorError, safe_open

    result: dict[str, Any] = {}
    for name in names:
        try:
            with safe_open(files[name], framework="pt") as file:
                result[name] = file.get_tensor(name)
        except SafetensorError as error:
            raise preflight.fault(files[name], str(error), f"a safetensors file with {name}") from error
    return result


def load_trunk(folder: Path, config: Any, dtype: str, name: str, allowed: Sequence[str]) -> Any:
    """Return the decoder without its head, in evaluation mode on the CPU.

    Its class is transformers' own for the config's type, whatever architecture or remote code the config names.

    Args:
        folder: The folder of the checkpoint.
        config: The config of the checkpoint.
        dtype: The dtype of the weights.
        name: The name of the checkpoint, for messages.
        allowed: The prefixes of the head's tensors, which are not the trunk's.

    Raises:
        ModelError: Tensors are missing, left over or of the wrong shape. Such a trunk would have random weights, which
            give plausible numbers.
    """
    import torch
    import transformers

    try:
        trunk_class = transformers.MODEL_MAPPING[type(config)]
    except KeyError:
        raise ModelError(f"{name}: transformers has no decoder for the model type {config.model_type!r}") from None
    if isinstance(trunk_class, (tuple, list)):
        trunk_class = trunk_class[0]
    stored = weight_headers(folder)
    preflight.require_size(config, stored, name)
    preflight.require_floats(stored, getattr(config, "quantization_config", None) is not None)
    with _quiet():
        trunk, info = from_pretrained(
            trunk_class,
            str(folder),
            None,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            output_loading_info=True,
            attn_implementation=attention(trunk_class),
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
    # torch's evaluation mode, which switches dropout off; no text is evaluated
    return trunk.eval()


def attention(model_class: Any) -> str:
    """Return the attention that a class of models is run with; a config could name a kernel of the hub, which is code.

    It is what transformers takes by itself.
    """
    return "sdpa" if getattr(model_class, "_supports_sdpa", False) else "eager"


def causal_model(name: str, revision: str | None, dtype: str, what: str) -> Any:
    """Return a whole causal model, with weights that are no pickle and the attention that is ours.

    Raises:
        ModelError: It cannot be loaded.
    """
    import torch
    import transformers

    config = load(f"{what}'s config", "AutoConfig", name, revision)
    if Path(name).is_dir():
        stored = weight_headers(Path(name))
        preflight.require_size(config, stored, name)
        preflight.require_floats(stored, getattr(config, "quantization_config", None) is not None)
    try:
        model_class = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    except KeyError:
        raise ModelError(f"{name}: transformers has no causal model for the model type {config.model_type!r}") from None
    return from_pretrained(
        transformers.AutoModelForCausalLM,
        name,
        revision,
        what=what,
        config=config,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        attn_implementation=attention(model_class),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting the head as unexpected; tensors that are really left over are our error."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def device_and_dtype(device: str | None, dtype: str | None) -> tuple[str, str]:
    """Return the device and the dtype; the default is the first GPU in bfloat16, or else the CPU in float32.

    Raises:
        ModelError: There is no such device or dtype.
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
    """Return an option as a positive whole number, None if it is not given.

    Raises:
        ModelError: It is no positive whole number.
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
