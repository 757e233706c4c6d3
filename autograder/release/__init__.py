"""Makes what students get: the exercises and the bundle."""
