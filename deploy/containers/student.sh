#!/bin/sh
# Lays the course out in the student's folder, then does what was asked. What is there already stays as it is.
course=/opt/course
if ! [ -w . ]; then
    echo "$PWD cannot be written here by user $(id -u): mount a folder of that user's, or start with --user" >&2
    exit 2
fi
for name in lessons exercises; do # the student's own, to work in; whole or not at all
    [ -e "$name" ] || { rm -rf ".$name" && cp -r "$course/$name" ".$name" && mv ".$name" "$name"; } || exit 2
done
for path in "$course"/*; do # the rest to read and to run, as the image has it
    [ -e "${path##*/}" ] || ln -sfn "$path" "${path##*/}"
done
exec "$@"
