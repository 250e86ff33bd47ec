"""MATH in miniature: a family of problems, an oracle that labels every step, and a tiny policy, ORM and PRM."""
