"""Costly decisions in child processes that are killed at a deadline or a memory cap."""
