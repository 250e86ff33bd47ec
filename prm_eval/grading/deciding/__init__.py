"""Whether two answers are the same, by named rules, cheapest first."""
