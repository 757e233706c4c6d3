#!/usr/bin/env bash
# Runs once, as root, when Otter builds the image: the sandbox, Otter, the grader's packages.
# bubblewrap 0.7 and Python 3.11 or later are needed: otter grade --image ubuntu:24.04
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y bubblewrap util-linux python3 python3-venv
python3 -m venv /autograder/venv
/autograder/venv/bin/python -m pip install --quiet -r requirements.txt -c requirements.lock
/autograder/venv/bin/python -m pip install --quiet "otter-grader[grading]>=6"
