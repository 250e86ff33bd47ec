"""Rules that decide whether two answers are the same, cheapest first, each with a name."""
