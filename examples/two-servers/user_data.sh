#!/bin/bash
# The user data of a server: installs the web server and the command `deploy`, and runs release 1.
#
# EC2 runs it once, as root, when an instance boots for the first time. It relies on bash, coreutils, python3 (3.9 or
# later) and systemctl. Running it again keeps the release.
#
# It can also boot a server in a folder, without root. The environment then says:
#   ROOT           the folder that takes the place of /
#   PATH           first on it a `systemctl` that answers `daemon-reload` and `enable --now web`: the latter starts the
#                  command ExecStart of $ROOT/etc/systemd/system/web.service, which is a valid line of a shell
#   ADDRESS, PORT  where the web server listens; port 0 is any free port. $ROOT/srv/web/running then has the port
#   SERVER, PRODUCTION_IP
# `$ROOT/usr/local/bin/deploy RELEASE` deploys there.
set -euo pipefail

ROOT=${ROOT:-}
SERVER=${SERVER:-@SERVER@}
PRODUCTION_IP=${PRODUCTION_IP:-@PRODUCTION_IP@}
ADDRESS=${ADDRESS:-0.0.0.0}
PORT=${PORT:-@PORT@}

web=$ROOT/srv/web
units=$ROOT/etc/systemd/system
mkdir -p "$web" "$units" "$ROOT/usr/local/bin"

cat >"$web/web_server.py" <<'END OF web_server.py'
@WEB_SERVER@
END OF web_server.py

cat >"$web/deploy" <<'END OF deploy'
@DEPLOY@
END OF deploy
chmod 755 "$web/deploy"
ln -sf "$web/deploy" "$ROOT/usr/local/bin/deploy"

[ -e "$web/release" ] || echo 1 >"$web/release"

# It is root, for the port, but only with this one privilege of root, and it can write only into its own folder.
cat >"$units/web.service" <<END
[Unit]
Description=The web server of $SERVER
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=$(command -v python3) -I -S "$web/web_server.py" "$SERVER" "$ADDRESS" "$PRODUCTION_IP" "$web" "$PORT"
ExecStopPost=/bin/rm -f "$web/pid" "$web/running"
Restart=always
RestartSec=1
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ReadWritePaths=$web

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable --now web
