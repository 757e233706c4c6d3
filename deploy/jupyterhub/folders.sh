#!/bin/sh
# folders.sh [GRADER [COURSE]]: the exchange of a course, and the folders that are the grader's alone. As root, once.
set -eu
grader=${1:-grader}
course=${2:-conditional-diffusion}
exchange=/usr/local/share/nbgrader/exchange

# nbgrader wants both writable by all. The first digit keeps students from moving away what is not theirs: without it
# one could put a folder of their own in the course's place, and read what the others hand in.
install -d -m 1777 "$exchange"
install -d -m 755 -o "$grader" -g "$grader" "$exchange/$course" "$exchange/$course/outbound"
install -d -m 3733 -o "$grader" -g "$grader" "$exchange/$course/inbound"
install -d -m 711 -o "$grader" -g "$grader" "$exchange/$course/feedback"

install -d -m 700 -o "$grader" -g "$grader" /srv/course /srv/course/grades
install -d -m 755 /srv/hub
install -d -m 700 /srv/hub/state
