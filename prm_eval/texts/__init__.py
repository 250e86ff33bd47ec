"""Cutting and finding in texts: steps, boxes. It judges nothing."""
