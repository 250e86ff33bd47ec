"""The prompt of a task: from ``--metadata prompt=``, from the task's file or from a replayed pool, and what it fits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.one_step import warning_of
from prm_eval.harness.candidates import Replay
from prm_eval.pools.pool import Pool
from prm_eval.pools.prompts import DEFAULT_PROMPT, Prompt, asked_by, fitting, load_prompt, offered, recognised
from prm_eval.pools.writer import DEFAULT_SPLITTER
from prm_eval.rewards import RewardFile, RewardModel
from prm_eval.store.rules import shown

logger = logging.getLogger(__name__)


def choose_prompt(given: str | None, settings: Mapping[str, Any], replay: Replay | None) -> Prompt | None:
    """Return the prompt of a task; None where a replayed pool does not know it.

    Args:
        given: The value of ``--metadata prompt=``, if there is one.
        settings: The settings of the task's file.
        replay: The replayed candidates, if nothing is generated.

    Raises:
        PrmEvalError: There is no such prompt, or the replayed candidates were asked by another one.
    """
    wanted = None if given is None else load_prompt(given)
    if replay is None:
        if wanted is not None:
            return wanted
        return recognised(settings["doc_to_text"]) if settings.get("doc_to_text") is not None else DEFAULT_PROMPT
    found = asked_by(replay.pool.info)
    if wanted is not None and (found is None or found.template not in (wanted.template, wanted.as_jinja)):
        by = (
            "does not know its prompt"
            if found is None
            else f"was asked by {shown(found.name)}: {shown(found.template)}"
        )
        raise PrmEvalError(
            f"prompt={shown(given)}: nothing is generated in a replay, and {replay.pool.path} {by}. Leave prompt= out"
        )
    return found


def doc_to_text(prompt: Prompt | None, settings: Mapping[str, Any]) -> Any:
    """Return the ``doc_to_text`` of a task: its prompt, as lm_eval fills it in.

    In a replay nothing is asked and lm_eval only notes it; what a pool says there is never run as Jinja, unless it is a
    prompt of the table.
    """
    if prompt is None or prompt.is_jinja:
        return settings.get("doc_to_text") or DEFAULT_PROMPT.as_jinja
    return prompt.as_jinja


def pool_splitter(prompt: Prompt | None) -> str:
    """Return the splitter of a pool that is asked by a prompt: the one whose steps the prompt asks for."""
    return prompt.splitters[0] if prompt is not None and prompt.splitters else DEFAULT_SPLITTER


def check_fit(prompt: Prompt, model: RewardModel, key: str) -> None:
    """Warn, before generation, of a process reward model that cuts otherwise than the prompt asks for steps.

    Args:
        prompt: The prompt.
        model: The reward model.
        key: The option that names it, and its name: ``prm_model=NAME``.
    """
    if model.kind != "prm":
        return
    cut = model.splitter or pool_splitter(prompt)
    if prompt.fits(cut):
        if not prompt.splitters:
            logger.info("the prompt %s asks for no form of steps; %s cuts its replies by %s", prompt.name, key, cut)
        return
    role = key.partition("_")[0]
    fit = offered(fitting(cut))
    logger.warning(
        "%s cuts candidates by %s, but the prompt %s asks for %s, so that it may read whole solutions as one step. %s"
        "%s_splitter=%s",
        key,
        cut,
        prompt.name,
        prompt.steps,
        f"A prompt that fits: {fit}. Or cut as the prompt asks: " if fit else "To cut as the prompt asks: ",
        role,
        prompt.splitters[0],
    )


def say_one_step(pool: Pool, rewards: Iterable[RewardFile]) -> None:
    """Warn, after scoring, of process reward models that read most candidates as one step."""
    for file in rewards:
        if (warning := warning_of(pool.info, file.info, file.step_counts(), file.name)) is not None:
            logger.warning("%s", warning)
