"""What can be known of the training of rounds before anybody labels, so that it is not refused after hours of work."""

from __future__ import annotations

import tempfile
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.rewards.models import checkpoint
from prm_eval.training.heads import plan_head
from prm_eval.training.launching import require_files, require_packages
from prm_eval.training.network import base_config
from prm_eval.training.options import TrainOptions
from prm_eval.training.statements import Overlap, is_held_out, key_of, known_problems


def require_trainable(pool: Pool, base: str, options: TrainOptions) -> None:
    """Insist that the base can be had and has what its recipe needs, and that the pool's problems may be trained on.

    Args:
        pool: The candidates of the rounds.
        base: The base model.
        options: How it is trained.

    Raises:
        DataError: The configuration of FSDP or DeepSpeed is not there.
        ModelError: The base cannot be loaded, or lacks the recipe's tokens, or a package is missing.
        PrmEvalError: A registered problem set cannot be had, or has problems of the pool.
    """
    require_files(options)
    require_packages(options, options.lora)
    tokenizer = checkpoint.load("base's tokenizer", "AutoTokenizer", base, options.revision)
    with tempfile.TemporaryDirectory() as folder:
        base_config(plan_head(options, tokenizer, base, Path(folder)), base, options.revision)
    against = (*options.against, *([] if options.pool is None else [options.pool]))
    known = known_problems(against, unchecked=options.unchecked)
    if options.contamination != "refuse":
        return
    overlap = Overlap()
    for each in pool.problems.values():
        key = key_of(each.statement)
        held = options.held_out_data is None and is_held_out(key, options.held_out, options.seed)
        if not held and (names := known.of(key)):
            overlap.note(key, names, f"{pool.path}: {each.problem_id}", each.statement)
    if overlap.keys:
        raise PrmEvalError(
            f"{pool.path} has {len(overlap.keys):,} of {len(pool.problems):,} problems in common with problem sets "
            f"that verifiers are measured on: {overlap.words()}. Leave them out of the training (--train "
            '"--contamination drop"), or train on them (--train "--contamination keep"), which the card will say'
        )
