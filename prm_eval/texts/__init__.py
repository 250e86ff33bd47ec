"""Functions that find steps, boxes and replies in texts; they judge nothing."""
