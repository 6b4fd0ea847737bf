#!/bin/sh
# Seals the key of a site's token store to this host, or opens it again: seal_key.sh seal|open PLAIN SEALED
# Either file is complete before the other goes, so an interruption leaves one that is good.
set -eu
umask 077
plain=$2 sealed=$3
case $1 in
seal)
    if [ -f "$plain" ]; then
        systemd-creds encrypt --name=store.key -- "$plain" "$sealed.new"
    else
        head -c 32 /dev/urandom | systemd-creds encrypt --name=store.key -- - "$sealed.new"
    fi
    chown qbo-sync: "$sealed.new"
    mv -f -- "$sealed.new" "$sealed"
    rm -f -- "$plain"
    ;;
open)
    systemd-creds decrypt --name=store.key -- "$sealed" "$plain.new"
    chown qbo-sync: "$plain.new"
    mv -f -- "$plain.new" "$plain"
    rm -f -- "$sealed"
    ;;
esac
