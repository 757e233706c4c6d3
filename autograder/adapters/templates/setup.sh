#!/usr/bin/env bash
# Runs once, as root, when Gradescope builds the image: the sandbox, Python 3.11 or later, the packages.
# bubblewrap 0.7 or later is needed: choose Ubuntu 24.04 (or Debian 12) as the base image.
set -euo pipefail
cd "$(dirname "$0")"
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y bubblewrap util-linux python3 python3-venv
python=python3
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    apt-get install -y python3.11 python3.11-venv
    python=python3.11
fi
"$python" -m venv .venv
.venv/bin/python -m pip install --quiet -r requirements.txt -c requirements.lock
.venv/bin/python -c "from autograder.sandbox import bubblewrap; print(bubblewrap.available() or 'it works')"
