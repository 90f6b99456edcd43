#!/bin/sh
# warm-up.sh URL FILE: requests each path of the file, one a line, three times. It fails if an answer is an error.
set -eu
while read -r path || [ -n "$path" ]; do
  for _ in 1 2 3; do
    curl --fail --silent --show-error --max-time 20 --output /dev/null "$1$path"
  done
done <"$2"
