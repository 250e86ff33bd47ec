"""Reward models: found by name, fed steps without gold, their numbers kept in reward files."""

from __future__ import annotations

from prm_eval.rewards.aggregate import aggregate
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
