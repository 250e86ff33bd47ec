"""The warning that a process reward model sees most candidates as one step: there it is an outcome reward model.

Every door that shows rewards, or what was made of them, says it in these words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from prm_eval.pools.format import PoolInfo
from prm_eval.pools.prompts import asked_by, fitting, offered
from prm_eval.rewards.files.reward_file import NamedRewards
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.texts.names import short_names
from prm_eval.texts.step_report import StepReport, mostly_one_step
from prm_eval.texts.steps import base_splitter

Ints = npt.NDArray[np.int64]


def one_step_warning(info: PoolInfo, splitter: str | None, of_one_step: int, candidates: int, name: str) -> str | None:
    """Return the warning for one process reward model on a pool; None where at most half the candidates are one step.

    Args:
        info: The pool, which may know its prompt.
        splitter: How the reward model wants candidates cut; None is the pool's own splitter.
        of_one_step: The number of candidates with exactly one step.
        candidates: The number of candidates that are counted: all, or those that have a reward.
        name: The name of the reward model.
    """
    if not mostly_one_step(of_one_step, candidates):
        return None
    cut = splitter or info.splitter
    share = 100 * of_one_step / candidates
    text = (
        f"{of_one_step:,} of {candidates:,} candidates ({share:.0f} %) are one step to {name}, which cuts them by "
        f"{cut}: there a PRM is an ORM"
    )
    if base_splitter(cut) == "given":  # nobody here can cut them otherwise
        return text
    asked, fit = asked_by(info), fitting(cut)
    by = "" if asked is None or not asked.splitters else f". The prompt {asked.name} asked for {asked.steps}"
    if by and asked is not None and asked.fits(cut):
        by += ", and the policy does not write so"
        fit = [each for each in fit if each != asked.name]
    ask = f". Ask otherwise: {offered(fit)}" if fit else ""
    return f"{text}{by}{ask}{', or' if ask else '. Or'} cut otherwise: prm-eval score POOL --splitter ..."


def step_lines(info: PoolInfo, report: StepReport, splitter: str | None, name: str) -> list[str]:
    """Return the report on a pool's steps in lines, with the warning where most candidates have one.

    Args:
        info: The pool.
        report: The report on its candidates.
        splitter: How they were cut; None is the pool's own splitter.
        name: The name of the reward model that reads them.
    """
    warning = one_step_warning(info, splitter, report.of_one_step, report.candidates, name)
    return [*report.lines(), *([] if warning is None else [f"WARNING    {warning}"])]


def warning_of(info: PoolInfo, rewards: RewardInfo, counts: Ints, name: str) -> str | None:
    """Return the warning for the rewards of one reward model; None for an ORM, and where at most half are one step.

    Args:
        info: The pool.
        rewards: What is said of the rewards.
        counts: The number of step rewards of each candidate; 0 where there are none.
        name: The name of the reward model in tables.
    """
    if rewards.kind != "prm":
        return None
    return one_step_warning(info, rewards.splitter, int((counts == 1).sum()), int((counts > 0).sum()), name)


def warnings_of(
    info: PoolInfo, files: Sequence[NamedRewards], of_one_step: Mapping[str, int], scored: Mapping[str, int]
) -> list[str]:
    """Return the warnings for several reward models whose candidates are counted, by their names in tables."""
    short = short_names(each.label for each in files)
    found = [
        one_step_warning(info, each.file.info.splitter, of_one_step[each.label], scored[each.label], short[each.label])
        for each in files
        if each.file.info.kind == "prm"
    ]
    return [each for each in found if each is not None]
