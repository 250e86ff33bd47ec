"""Token ids to outputs: batches, packing, and the trunk that computes."""
