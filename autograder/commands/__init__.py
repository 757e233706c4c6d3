"""Sub-commands of `autograder` that live outside cli.py; `register(command, course)` adds one to the parser."""
