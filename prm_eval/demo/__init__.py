"""The demonstration: the main job from end to end, through the real lm_eval, without a download.

By default the tiny policy that ships is sampled on miniature test problems, and the tiny ORM and PRM that ship judge
its candidates. ``handwritten`` does the same with a pool that was written by hand and verifiers that are rules, which
need no torch.
"""

from prm_eval.demo.handwritten import ORM, PRM, demo_file, demo_pool, run_handwritten
from prm_eval.demo.running import Demo
from prm_eval.demo.sampled import run_demo

__all__ = ["ORM", "PRM", "Demo", "demo_file", "demo_pool", "run_demo", "run_handwritten"]
