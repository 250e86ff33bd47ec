"""One answer to a tree, or an error with its place; nothing is evaluated."""
