#!/bin/sh
# Virtual environment with pinned dependencies, and the GL libraries the simulated cameras render with.
# usage: setup.sh VENV
set -eu
venv=$1

python=
for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "telecap needs Python 3.11 or newer; found: $(python3 --version 2>&1 || echo none)." >&2
    echo "Install it (Debian 12 and newer: apt-get install python3 python3-venv) or set PYTHON=/path/to/python." >&2
    exit 1
fi

missing=
have_lib() { ldconfig -p 2>/dev/null | grep -q "$1" || ls /usr/lib/*/"$1" >/dev/null 2>&1; }
have_lib libEGL.so.1 || missing="$missing libegl1"
have_lib libOpenGL.so.0 || missing="$missing libopengl0"
have_lib libGL.so.1 || missing="$missing libgl1"
ls /usr/lib/*/dri/swrast_dri.so /usr/lib/*/libgallium* /usr/lib/*/libEGL_mesa.so.0 >/dev/null 2>&1 || missing="$missing libegl-mesa0 libgl1-mesa-dri"
"$python" -c 'import venv, ensurepip' 2>/dev/null || missing="$missing python3-venv"
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing system packages:$missing"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    else
        echo "These system packages are missing:$missing" >&2
        echo "Install them once, then repeat the command:" >&2
        echo "    sudo apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    fi
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "Installing telecap and its pinned dependencies into $venv (about a minute) …"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
touch "$venv/.ready"
