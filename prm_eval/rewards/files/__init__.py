"""Rewards on disk: the reward file, the journal of a reward file that is being made, and the score cache."""
