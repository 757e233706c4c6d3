"""The sub-commands of `ddpm`, one module for each group; `register(sub)` adds a group's to the parser."""
