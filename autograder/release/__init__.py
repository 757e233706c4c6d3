"""What students get: exercises and the bundle."""
