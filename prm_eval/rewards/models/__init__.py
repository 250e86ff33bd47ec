"""The reward models: checkpoints under a recipe, generative verifiers, rules, stored rewards."""
