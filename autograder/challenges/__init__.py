"""The three challenge tracks: open-ended designs, tested three times at most, one of them submitted, and ranked.

starter.py    the notebook to begin with            tracks.py    what a track is, examples.py its known designs
contract.py   what must hold before any training    quick.py     training, sampling and scoring over seeds
record.py     the log that nothing leaves           attempts.py  three tests, one submission
figures.py    means and paired differences          board.py     the leaderboard, page.py its page
"""
