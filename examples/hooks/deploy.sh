#!/bin/sh
# deploy.sh BUCKET: installs $RELEASE from the bucket and restarts the server. It is safe to run twice.
set -eu
case $RELEASE in .* | */*) echo "$RELEASE cannot be the name of a folder." && exit 2 ;; esac
web=${WEB:-/opt/web}
folder=$web/releases/$RELEASE
mkdir -p "$folder"
aws s3 cp --only-show-errors "s3://$1/$RELEASE.tar.gz" "$folder.tar.gz"
tar -xzf "$folder.tar.gz" -C "$folder"
rm "$folder.tar.gz"
ln -sfn "$folder" "$web/current"
systemctl restart web
echo "Release $RELEASE is installed."
