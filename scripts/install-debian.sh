#!/bin/sh
# install-debian.sh COMMAND PACKAGE [COMMAND PACKAGE ...]: installs the packages whose command is missing, where that
# takes no password; else prints the one command to type. Never fails the build.
missing=""
while [ $# -ge 2 ]; do
    command -v "$1" >/dev/null || missing="$missing $2"
    shift 2
done
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
    echo "missing:$missing; install with your system's package manager"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then as=""; elif sudo -n true 2>/dev/null; then as="sudo -n"; else
    echo "missing:$missing; type: sudo apt-get install -y$missing"
    exit 0
fi
{ $as apt-get update -q && $as env DEBIAN_FRONTEND=noninteractive apt-get install -q -y $missing; } >/dev/null 2>&1 ||
    echo "could not be installed:$missing; type: sudo apt-get install -y$missing"
exit 0
