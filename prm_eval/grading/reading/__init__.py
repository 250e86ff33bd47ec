"""Parsing of one answer into a tree, or an error with its place; nothing is evaluated."""
