"""Recipes: data that say how families of reward models are fed and read."""
