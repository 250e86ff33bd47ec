"""Reward models: they are found by name, see no gold answer, and their numbers are kept in reward files.

Names are loaded on first use, all but :func:`aggregate`, whose module has the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door
from prm_eval.rewards.aggregate import aggregate

if TYPE_CHECKING:
    from prm_eval.rewards.engine.engine import Engine
    from prm_eval.rewards.files.reward_file import RewardFile, RewardWriter
    from prm_eval.rewards.finding import OPTIONS, RESOLVERS, Resolver, how_fed, load_reward_model
    from prm_eval.rewards.models.engine_model import RenderingModel
    from prm_eval.rewards.protocol import RewardModel
    from prm_eval.rewards.scoring import Runner, reward_slug, score_pool

__all__ = [
    "OPTIONS",
    "RESOLVERS",
    "Engine",
    "RenderingModel",
    "Resolver",
    "RewardFile",
    "RewardModel",
    "RewardWriter",
    "Runner",
    "aggregate",
    "how_fed",
    "load_reward_model",
    "reward_slug",
    "score_pool",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "Engine": "engine.engine",
        "OPTIONS": "finding",
        "RESOLVERS": "finding",
        "RenderingModel": "models.engine_model",
        "Resolver": "finding",
        "RewardFile": "files.reward_file",
        "RewardModel": "protocol",
        "RewardWriter": "files.reward_file",
        "Runner": "scoring",
        "how_fed": "finding",
        "load_reward_model": "finding",
        "reward_slug": "scoring",
        "score_pool": "scoring",
    },
)
