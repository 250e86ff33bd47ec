"""What a training needs of the machine: packages, and the files of FSDP and DeepSpeed; looked at before any work."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from prm_eval.errors import DataError, ModelError
from prm_eval.training.options import LoopOptions

NEEDED = ("torch", "transformers", "accelerate")


def require_packages(options: LoopOptions, lora: int = 0) -> None:
    """Insist on the packages of a training, and on those that its options need.

    Raises:
        ModelError: One is missing; the message says how it is installed.
    """
    if not all(map(_is_there, NEEDED)):
        raise ModelError("training needs torch, transformers and accelerate: pip install 'prm_eval[train]'")
    if lora and not _is_there("peft"):
        raise ModelError("--lora needs peft: pip install 'prm_eval[train]'")
    if options.deepspeed is not None and not _is_there("deepspeed"):
        raise ModelError(
            f"--deepspeed {options.deepspeed}: the package deepspeed is not installed; expected it beside torch. "
            "Install it (pip install deepspeed), or use --fsdp FILE, which needs nothing more"
        )


def _is_there(name: str) -> bool:
    """Say whether a package is installed: its modules, and its metadata, by which accelerate asks."""
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return find_spec(name) is not None


def require_files(options: LoopOptions) -> None:
    """Insist that the configuration files of FSDP and DeepSpeed are there and hold a JSON object.

    Raises:
        DataError: One does not.
    """
    for flag, what, name in (("--fsdp", "FSDP", options.fsdp), ("--deepspeed", "DeepSpeed", options.deepspeed)):
        if name is None:
            continue
        expected = f"the configuration of {what}, a JSON object ({flag})"
        hint = "Name the file as transformers takes it, or leave the option out."
        path = Path(name)
        if not path.is_file():
            raise DataError(path, None, "a folder" if path.is_dir() else "no such file", expected, hint)
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise DataError(path, None, f"not JSON ({error})", expected, hint) from None
        if not isinstance(found, dict):
            raise DataError(path, None, f"a JSON {type(found).__name__}", expected, hint)
