"""The reward models: checkpoints with a recipe, generative verifiers, rules, and stored rewards."""
