"""Reads the sources of the answers in a submitted folder. Nothing is executed."""
