"""From answers to records: judging, batches, messages."""
