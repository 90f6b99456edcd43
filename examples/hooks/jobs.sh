#!/bin/sh
# jobs.sh on|off: starts or stops what must run on the live server only. A cron job asks for the file:
#   * * * * * root test -e /var/lib/web/live && /opt/web/current/send-mail
set -eu
live=${LIVE:-/var/lib/web/live}
case $1 in
  on) touch "$live" && systemctl enable --now web-worker ;;
  off) rm -f "$live" && systemctl disable --now web-worker ;;
esac
