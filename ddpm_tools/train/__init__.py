"""Training runs on disk: speed, several processes, interruption, saving, logging."""
