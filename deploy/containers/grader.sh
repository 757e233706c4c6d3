#!/bin/sh
# Says whether the sandbox works in this container, then does what was asked: `autograder grade` refuses by itself.
python -c "import sys
from autograder.sandbox import bubblewrap
print(bubblewrap.available() or 'The sandbox works here.', file=sys.stderr)"
exec "$@"
