#!/bin/sh
# Installs bubblewrap where that takes no password; else prints the one command to type. Never fails the build.
command -v bwrap >/dev/null && exit 0
if ! command -v apt-get >/dev/null; then
    echo "bubblewrap is missing: install it with your system's package manager to grade in a sandbox"
    exit 0
fi
if [ "$(id -u)" = 0 ]; then as=""; elif sudo -n true 2>/dev/null; then as="sudo -n"; else
    echo "bubblewrap is missing; to grade in a sandbox, type: sudo apt-get install -y bubblewrap"
    exit 0
fi
{ $as apt-get update -q && $as env DEBIAN_FRONTEND=noninteractive apt-get install -q -y bubblewrap; } >/dev/null 2>&1 ||
    echo "bubblewrap could not be installed; type: sudo apt-get install -y bubblewrap"
exit 0
