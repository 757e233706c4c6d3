"""Everything in this folder runs beside student code; nothing else of the autograder does."""
