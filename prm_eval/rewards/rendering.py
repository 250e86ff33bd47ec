"""The place of ``RenderingModel`` until version 0.2; it is ``prm_eval.rewards.RenderingModel`` now."""

from prm_eval.rewards.models.engine_model import RenderingModel as RenderingModel
