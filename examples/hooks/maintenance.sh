#!/bin/sh
# maintenance.sh on URL: shows the maintenance page, and fails if the URL does not answer 503. nginx.conf has:
#   location / { if (-f /var/lib/web/maintenance) { return 503; } ... }
# maintenance.sh off: shows it no longer.
set -eu
page=${MAINTENANCE:-/var/lib/web/maintenance}
case $1 in off) rm -f "$page"; exit ;; esac
touch "$page"
status=$(curl --silent --show-error --max-time 10 --output /dev/null --write-out '%{http_code}' "$2")
echo "$2 answers $status."
[ "$status" = 503 ]
