"""The command ``prm-eval``: the only room that prints."""
