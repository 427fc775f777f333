#!/bin/sh
# What the tests need beyond the application: development tools, the robots' models, a browser and its emulated headset.
# usage: setup-test.sh VENV
set -eu
venv=$1
echo "Installing the development tools into $venv …"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,robots,bench,query,remote,view,realsense]'

if ! command -v chromium >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing Chromium for the browser tests …"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
    else
        echo "Without Chromium the browser tests are skipped: sudo apt-get install -y chromium" >&2
    fi
fi
if ! ldconfig -p | grep -q 'libusb-1[.]0[.]so[.]0'; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libusb-1.0-0 >/dev/null
    else
        echo "Without libusb the tests of RealSense cameras are skipped: sudo apt-get install -y libusb-1.0-0" >&2
    fi
fi
if ! command -v npm >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends npm >/dev/null
fi
if command -v npm >/dev/null; then
    npm install --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error
else
    echo "Without npm the emulated headset (iwer) is missing and its tests are skipped: sudo apt-get install -y npm" >&2
fi
touch "$venv/.ready-test"
