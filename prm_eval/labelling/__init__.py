"""Where labels of steps come from, and what to label next: people, rollouts, models, judges, queues, rounds."""
