#!/bin/sh
# drain.sh on PORT SECONDS: stops keep-alive, and waits for the end of the connections that are open now.
# drain.sh off: allows keep-alive again. The section http of nginx.conf has: include /etc/nginx/keepalive.conf;
set -eu
keep_alive() {
  echo "keepalive_timeout $1;" >"${KEEPALIVE:-/etc/nginx/keepalive.conf}"
  ${RELOAD:-nginx -s reload}
}
connections() { # the local and the remote end of each established connection
  awk -v "port=:$(printf '%04X' "$port")\$" '$4 == "01" && $2 ~ port {print $2, $3}' /proc/net/tcp*
}
case $1 in off) keep_alive 75; exit ;; esac
port=$2 seconds=$3 waited=0
open=$(connections)
keep_alive 0
while left=$(connections | grep -Fxc "$open") && [ "$waited" -lt "$seconds" ]; do
  waited=$((waited + 1))
  sleep 1
done
echo "After $waited s, $left of the connections are still open."
[ "$left" -eq 0 ]
