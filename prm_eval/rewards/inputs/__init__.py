"""The way from a statement and a candidate to token ids and read positions."""
