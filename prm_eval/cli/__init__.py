"""The command ``prm-eval``; this is the only room that prints."""
