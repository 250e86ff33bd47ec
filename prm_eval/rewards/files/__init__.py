"""Rewards on disk: the reward file, its journal while it is made, and the score cache."""
