"""Exact normal forms of trees, and the values of trees at points."""
