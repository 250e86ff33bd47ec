"""Trees to exact normal forms, and their values at points."""
