#!/bin/sh
# Run a program where the unpacked OpenXR runtime can be loaded, in a network of its own: its scriptable devices listen there.
# usage: with-xr.sh PROGRAM [ARGUMENT…]       (after setup-xr.sh build/xr)
set -eu
TELECAP_XR_PREFIX=$(realpath "${TELECAP_XR_PREFIX:-build/xr}")
export TELECAP_XR_PREFIX
exec unshare -n sh -c 'ip link set lo up && exec "$TELECAP_XR_PREFIX/run" "$@"' sh "$@"
