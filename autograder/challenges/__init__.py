"""The challenge tracks: open-ended designs. Each challenger has at most three tests and submits one, which is ranked.

starter.py       the notebook to begin with         tracks.py    what a track is; examples.py its known designs
contract.py      what must hold before training     quick.py     training, sampling and scoring over seeds
record.py        the append-only log                attempts.py  three tests, one submission
figures.py       means and paired differences       leaderboard.py  its rows; leaderboard_formats.py writes them
few_steps.py     the tracks that train nothing      designs.py   their known designs
"""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
