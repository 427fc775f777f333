#!/bin/sh
# A real OpenXR runtime for the tests: Debian 13's Monado and Mesa, unpacked beside this system; nothing is installed.
# usage: setup-xr.sh PREFIX      (as root, on x86-64 Debian or Ubuntu)
set -eu
prefix=$(realpath -m "$1")
lib=$prefix/usr/lib/x86_64-linux-gnu
[ -e "$prefix/.ready" ] && exit 0
without() {
    echo "Without $1 the tests against an OpenXR runtime are skipped." >&2
    exit 0
}
[ "$(uname -m)" = x86_64 ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || without "root on an x86-64 Debian"
missing=
for tool in mmdebstrap:mmdebstrap Xvfb:xvfb ip:iproute2; do
    command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool##*:}"
done
if [ -n "$missing" ]; then
    apt-get update -qq
    # shellcheck disable=SC2086 - a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null || without "$missing"
fi
echo "Unpacking an OpenXR runtime into $prefix …"
rm -rf "$prefix"
mkdir -p "$(dirname "$prefix")"  # mmdebstrap makes only the last folder
mmdebstrap --quiet --variant=extract --include=monado-service,libopenxr1-monado,mesa-vulkan-drivers,libegl1,libegl-mesa0,libgl1,libglx-mesa0,libgl1-mesa-dri trixie "$prefix" >/dev/null || without "Debian 13's packages"
cat >"$prefix/run" <<RUN
#!/bin/sh
# Run a program of this system on the prefix's C library and Mesa.
export VK_DRIVER_FILES=$prefix/usr/share/vulkan/icd.d/lvp_icd.json LIBGL_DRIVERS_PATH=$lib/dri __EGL_VENDOR_LIBRARY_DIRS=$prefix/usr/share/glvnd/egl_vendor.d
exec $prefix/usr/lib64/ld-linux-x86-64.so.2 --argv0 "\$1" --library-path $lib:$lib/blas:$lib/lapack:$lib/pulseaudio:$prefix/usr/lib "\$@"
RUN
chmod +x "$prefix/run"
printf '{"file_format_version": "1.0.0", "runtime": {"name": "Monado", "library_path": "%s/libopenxr_monado.so"}}\n' "$lib" >"$prefix/monado.json"
touch "$prefix/.ready"
