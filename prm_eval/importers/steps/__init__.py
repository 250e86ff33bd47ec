"""Importers that make step sets of other people's labelled steps; the registry lists the formats.

A step set is small beside a pool (tens of thousands of solutions at most), so one import holds its solutions in memory:
what a set's labels mean, which twins there are and which models have scores is known only when all rows were read.
"""

from __future__ import annotations

from prm_eval.importers.steps.importing import StepImportReport, import_step_set
from prm_eval.importers.steps.registry import STEP_FORMATS, recognise_steps

__all__ = ["STEP_FORMATS", "StepImportReport", "import_step_set", "recognise_steps"]
