"""The tools around the book: commands, training runs, data sets, evaluation, diagnosis, export, reports."""
