"""Rules that find the final answer of a whole response; they never see gold."""
