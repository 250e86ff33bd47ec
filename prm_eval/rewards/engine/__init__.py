"""The way from token ids to outputs: batches, packing, and the trunk that computes."""
