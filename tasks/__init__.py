"""The lm_eval task files, shipped inside the wheel; find them with ``prm-eval tasks-path``."""
