# What tests need beside Python: `install_packages` brings what is missing of Debian's packages.

# file that a test needs, as a pattern : Debian package that has it, as a pattern of names (those of
# PostgreSQL begin with its version)
packages=(
    "/usr/bin/h5dump:hdf5-tools"
    "/usr/lib/*/libexpat.so.1:libexpat1" # rasterio's wheel expects the system's
    "/usr/bin/chromium-headless-shell:chromium-headless-shell"
    "/usr/bin/npm:npm"
    "/usr/sbin/mariadbd:mariadb-server"
    "/usr/lib/postgresql/*/bin/initdb:postgresql"
    "/usr/share/postgresql/*/extension/postgis.control:^postgresql-[0-9]+-postgis-3$"
    "/usr/share/postgresql/*/extension/q3c.control:^postgresql-[0-9]+-q3c$"
)

install_packages() {
    local missing=() as_root=() pair attempt
    for pair in "${packages[@]}"; do
        compgen -G "${pair%%:*}" >/dev/null || command -v "$(basename "${pair%%:*}")" >/dev/null ||
            missing+=("${pair#*:}")
    done
    [ "${#missing[@]}" != 0 ] || return 0
    [ "$(id -u)" = 0 ] || as_root=(sudo -n)
    # Tests start servers of their own: Debian's packages are not to start any as they are installed
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
        trap '"${as_root[@]}" rm -f "$policy"' RETURN
    fi
    export DEBIAN_FRONTEND=noninteractive
    for attempt in 1 2 3; do
        "${as_root[@]}" apt-get update -qq &&
            "${as_root[@]}" apt-get install -qq -y --no-install-recommends "${missing[@]}" && return
        sleep $((attempt * 5))
    done
    echo "cannot install ${missing[*]}: the tests that need them will fail" >&2
}
