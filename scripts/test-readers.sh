#!/bin/sh
# The recorder's tests on a newer Python, with every reader of other packages.
# usage: test-readers.sh PREFIX [PYTEST ARGUMENT…]       (after setup-readers.sh PREFIX)
set -eu
prefix=$1
shift
if [ ! -e "$prefix/.ready" ]; then
    echo "The tests with other packages' readers are skipped: scripts/setup-readers.sh could not install them." >&2
    exit 0
fi
TELECAP_LEROBOT_PYTHON=$(realpath -s "$prefix")/bin/python
export TELECAP_LEROBOT_PYTHON
exec "$TELECAP_LEROBOT_PYTHON" -m pytest -n auto --dist loadfile tests/recorder "$@"
