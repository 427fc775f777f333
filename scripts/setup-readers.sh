#!/bin/sh
# An environment of a newer Python with what reads our files elsewhere: LeRobot and PyTorch, imagecodecs, zarrs.
# usage: setup-readers.sh PREFIX      (several GB; needs Python 3.12 or newer, or $READERS_PYTHON that names one)
set -eu
prefix=$1
[ -e "$prefix/.ready" ] && [ "$prefix/.ready" -nt pyproject.toml ] && exit 0
new_enough() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null
}
found=
for python in "${READERS_PYTHON:-}" python3.12 python3.13 python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12.*/bin/python; do
    if [ -n "$python" ] && new_enough "$python"; then
        found=$python
        break
    fi
done
if [ -z "$found" ]; then
    echo "Without Python 3.12 the tests with other packages' readers are skipped." >&2
    exit 0
fi
mkdir -p "$prefix"
if [ "$(df -Pk "$prefix" | awk 'NR == 2 { print int($4 / 1048576) }')" -lt 12 ]; then
    echo "With less than 12 GB free the tests with other packages' readers are skipped." >&2
    exit 0
fi
echo "Installing LeRobot, PyTorch, imagecodecs and zarrs into $prefix …"
rm -rf "$prefix"
"$found" -m venv "$prefix"
"$prefix/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[lerobot,readers,dev,query,remote]'
touch "$prefix/.ready"
