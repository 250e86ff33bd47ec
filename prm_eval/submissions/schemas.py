"""Write the JSON Schemas of a results folder: ``python -m prm_eval.submissions.schemas results/schema``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from prm_eval.store.json_schema import json_schema
from prm_eval.store.writing import write_text
from prm_eval.submissions.formats import FILES


def schema_texts() -> dict[str, str]:
    """Return the text of every schema, by file name."""
    return {
        f"{name}.json": json.dumps(json_schema(kind, title), indent=2, ensure_ascii=False) + "\n"
        for name, (title, kind) in FILES.items()
    }


def write_schemas(folder: Path) -> None:
    """Write all schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_texts().items():
        write_text(folder / name, text)


if __name__ == "__main__":
    write_schemas(Path(sys.argv[1]))
