#!/bin/sh
# The tests against a real OpenXR runtime.
# usage: test-xr.sh PYTHON [PYTEST ARGUMENT…]
set -eu
python=$1
shift
prefix=${TELECAP_XR_PREFIX:-build/xr}
if [ ! -e "$prefix/.ready" ]; then
    echo "The tests against an OpenXR runtime are skipped: scripts/setup-xr.sh could not unpack one." >&2
    exit 0
fi
if ! unshare -n true 2>/dev/null; then
    echo "The tests against an OpenXR runtime are skipped: no network of their own can be made (root is needed)." >&2
    exit 0
fi
exec sh "$(dirname "$0")/with-xr.sh" "$python" -m pytest -m xr "$@"
