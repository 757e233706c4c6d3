#!/bin/sh
# Reports whether the sandbox works in this container, then runs the command; `autograder grade` refuses without it.
python -c "import sys
from autograder.sandbox import bubblewrap
print(bubblewrap.available() or 'The sandbox works here.', file=sys.stderr)"
exec "$@"
