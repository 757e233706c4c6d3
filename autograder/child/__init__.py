"""Runs beside student code, together with an exercise's questions. No other part of the autograder does."""
