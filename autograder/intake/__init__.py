"""From a submitted folder to the sources of its answers; nothing is executed."""
