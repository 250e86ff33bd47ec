"""The second kind of board: who finds the mistake in the solutions of a step set.

It is made of the same columns, cells, charts and pages as the boards of pools; what differs is here.
"""
