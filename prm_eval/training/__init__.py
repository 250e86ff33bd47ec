"""Labels in, verifiers out: the one trainer of outcome and process reward models."""
