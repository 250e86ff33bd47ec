"""MATH in miniature: a family of problems, an oracle for every step, and the recipe of a tiny policy, ORM and PRM."""
