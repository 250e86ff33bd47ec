"""The laboratory: the paper's small-scale studies, repeated with an oracle in place of people (its section 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.study import (
    active_learning,
    aggregation,
    difficulty,
    out_of_distribution,
    overoptimisation,
    supervision,
    teaching,
)
from prm_eval.miniature.study.laboratory import Laboratory, StudySettings
from prm_eval.miniature.study.summaries import as_text, write_study
from prm_eval.miniature.train import precision_of
from prm_eval.pools.format import software_versions

__all__ = ["STUDIES", "Laboratory", "StudySettings", "as_text", "run_study"]

STUDIES: dict[str, Callable[[Laboratory], tuple[dict[str, Any], str]]] = {
    "supervision": supervision.run,
    "active-learning": active_learning.run,
    "aggregation": aggregation.run,
    "difficulty": difficulty.run,
    "out-of-distribution": out_of_distribution.run,
    "overoptimisation": overoptimisation.run,
    "teaching": teaching.run,
}


def run_study(name: str, laboratory: Laboratory, output: Path) -> list[Path]:
    """Run a study and write its JSON and its picture; return both files.

    Raises:
        PrmEvalError: No such study, or the laboratory's folder was made with other settings.
    """
    if name not in STUDIES:
        raise PrmEvalError(f"no study {name!r}; expected one of {', '.join(STUDIES)}")
    found, picture = STUDIES[name](laboratory)
    found["settings"] = asdict(laboratory.settings)
    found["device"], found["precision"] = laboratory.device, precision_of(laboratory.device)
    found["versions"] = software_versions("torch", "transformers")
    return write_study(output, name, found, picture)
