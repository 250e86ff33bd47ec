"""How families of reward models are fed and read, as data."""
