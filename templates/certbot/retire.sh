#!/bin/sh
# Forget every certificate laid at the stable path $1. While nginx still has its placeholder there, that is served again.
set -eu
link=$1
versions=$1.d
if [ -d "$versions/placeholder" ]; then
    [ "$(readlink "$link")" = "$versions/placeholder" ] || {
        ln -s "$versions/placeholder" "$link.new"
        mv -T "$link.new" "$link"
        echo retired
    }
elif [ -L "$link" ]; then
    rm "$link"
    echo retired
fi
for version in "$versions"/*; do
    case $version in
        */placeholder | */\*) ;;
        *) rm -r "$version" && echo retired ;;
    esac
done
for folder in "$versions" /etc/qbo-kit/tls /etc/qbo-kit /var/lib/qbo-kit; do
    [ ! -d "$folder" ] || rmdir --ignore-fail-on-non-empty "$folder"
done
