"""Guards against settings that would silently make best-of-N numbers wrong, before or right after generation."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from prm_eval.errors import PrmEvalError, SamplingError
from prm_eval.harness.policy_identity import unwrapped
from prm_eval.records import Problem


def calling_scope(depth: int = 2) -> Mapping[str, Any]:
    """Return the local names of lm_eval's ``evaluate`` call that is building requests, among them the model (``lm``).

    lm_eval does not pass them to tasks, so they are read from the caller's frame; every use copes with their absence.
    """
    return sys._getframe(depth).f_locals


def check_generation(arguments: Mapping[str, Any], n: int, model: Any) -> None:
    """Refuse generation settings that cannot give N independent candidates.

    Raises:
        SamplingError: Greedy decoding, several outputs a request, or one seed for all requests of an API.
    """
    for key in ("num_return_sequences", "n", "best_of"):
        if arguments.get(key) not in (None, 1):
            raise SamplingError(
                f"--gen_kwargs {key}={arguments[key]}: lm_eval keeps one output a request. "
                f"Use --metadata n_samples={arguments[key]} instead."
            )
    if n == 1:
        return
    if arguments.get("do_sample") is not True:
        raise SamplingError(
            f"{n} candidates a problem, but do_sample={arguments.get('do_sample')}: greedy decoding gives the same "
            f"text {n} times, and lm_eval's --use_cache would hand one stored text out for all. "
            "Leave do_sample: true as the task has it, or use n_samples=1."
        )
    temperature = arguments.get("temperature")
    if temperature is not None and float(temperature) == 0.0:
        raise SamplingError(
            f"{n} candidates a problem, but temperature=0 gives the same text {n} times. Choose one above 0."
        )
    if sends_one_seed(model) and arguments.get("seed", "unset") is not None:
        raise SamplingError(
            f"{type(unwrapped(model)).__name__} sends one seed with every request, so a server that honours seeds "
            f"gives the same answer {n} times. Add: --gen_kwargs seed=None"
        )


def check_gold(problems: Sequence[Problem], source: str) -> None:
    """Refuse to generate candidates that cannot be graded when they are there.

    Args:
        problems: The problems of the task.
        source: Where they come from, for the message.

    Raises:
        PrmEvalError: A problem has no gold answer.
    """
    lacking = [problem.problem_id for problem in problems if problem.gold is None]
    if lacking:
        raise PrmEvalError(
            f"{len(lacking):,} of {len(problems):,} problems of {source} have no gold answer (the first: "
            f"{lacking[0]!r}), so their candidates cannot be graded. Generate them alone with --predict_only, "
            "then rank them by rewards: prm-eval score, prm-eval rank"
        )


def sends_one_seed(model: Any) -> bool:
    """Say whether a model is one of lm_eval's API models, which put their seed into each payload."""
    from lm_eval.models.api_models import TemplateAPI

    return isinstance(unwrapped(model), TemplateAPI)


def check_request_cache(cache_requests: bool) -> None:
    """Refuse ``--cache_requests``.

    Raises:
        SamplingError: It was given. Its cache key has neither N nor the sampling parameters, so it would replay those
            of an earlier run, while the results record those of this run.
    """
    if cache_requests:
        raise SamplingError(
            "--cache_requests replays the number of samples and the temperature of an earlier run. Leave it out."
        )


def check_candidates(texts: Sequence[Sequence[str]], n: int) -> None:
    """Refuse candidates that are all copies of one text.

    Raises:
        SamplingError: Every problem with several candidates has only one distinct text.
    """
    several = [each for each in texts if len(each) > 1]
    if n > 1 and several and all(len(set(each)) == 1 for each in several):
        raise SamplingError(
            f"all {n} candidates of each of the {len(several)} problems are the same text. A server with one seed for "
            "all requests (add --gen_kwargs seed=None), a cache, or a temperature near 0 does this. "
            "If the policy really is that certain: --metadata allow_identical_candidates=true"
        )
