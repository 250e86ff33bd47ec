"""Small copies of the hub's sets, in the columns that these have: problems of our own, with the gold each must give.

Of GPQA, the gold in the file is the text of the right choice, as the order of the choices follows their hashes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import write_jsonl

COPIES: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))


def write_copies(folder: Path) -> Path:
    """Write the copy of every set into a folder, as ``sets_dir`` finds them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in COPIES.items():
        write_jsonl(folder / f"{name}.jsonl", [each["row"] for each in rows])
    return folder
