#!/bin/sh
# folders.sh [GRADER [COURSE]]: creates the exchange of a course, and the grader's private folders. Run once, as root.
set -eu
grader=${1:-grader}
course=${2:-conditional-diffusion}
exchange=/usr/local/share/nbgrader/exchange

# nbgrader needs both to be writable by all. The first digit stops students from moving what is not theirs: without it
# one could replace the course's folder with their own, and read what the others hand in.
install -d -m 1777 "$exchange"
install -d -m 755 -o "$grader" -g "$grader" "$exchange/$course" "$exchange/$course/outbound"
install -d -m 3733 -o "$grader" -g "$grader" "$exchange/$course/inbound"
install -d -m 711 -o "$grader" -g "$grader" "$exchange/$course/feedback"

install -d -m 700 -o "$grader" -g "$grader" /srv/course /srv/course/grades
install -d -m 755 /srv/hub
install -d -m 700 /srv/hub/state
