"""The command `ddpm`."""
