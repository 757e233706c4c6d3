"""Training runs on disk: speed, multiple processes, interruption, saving, logging."""
