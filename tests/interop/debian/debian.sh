#!/bin/sh
# Run a command on Debian 13, in this folder's `root`: debian FOLDER... -- COMMAND...
#
# The folders, /tmp, HOME and what tells a machine's tools of its registries stand there where they stand here; the
# rest is Debian's. Mounts are of a namespace that ends with the command.
set -eu
here=$(dirname -- "$(readlink -f -- "$0")")
if [ "${1:-}" != --inside ]; then
    exec unshare --mount -- "$here/debian" --inside "$@"
fi
shift

bind() {
    [ -e "$1" ] || return 0
    if [ -d "$1" ]; then
        mkdir -p "$here/root$1"
    elif [ ! -e "$here/root$1" ]; then
        mkdir -p "$(dirname -- "$here/root$1")"
        : >"$here/root$1"
    fi
    mount --rbind "$1" "$here/root$1"
}

for place in /proc /sys /dev /tmp /etc/resolv.conf /etc/hosts /etc/ssl/certs /etc/pip.conf /etc/uv \
    "${HOME:-/root}"; do
    bind "$place"
done
while [ "$1" != -- ]; do
    bind "$1"
    shift
done
shift
exec chroot "$here/root" /bin/sh -c 'cd -- "$1" && shift && exec "$@"' sh "$PWD" "$@"
