#!/bin/sh
# Sets up .venv/ for the project: `setup.sh core` to use it, `setup.sh dev` to test it too.
# Does again only what has changed since: stamps in .venv/ carry the check sums of the locks.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "$*" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is no Python 3.11 or newer (it is $(version_of "$PYTHON")): name another one."
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed, and python3 here is $(version_of python3): install one, or name it with make PYTHON=/path/to/python3."
}

make_environment() {
    # Keep what works, unless another Python is asked for by name.
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then
        if [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of .venv/bin/python)" ]; then
            return
        fi
    fi
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module: install it (on Debian and Ubuntu: apt-get install python3-venv) and run make again."
    echo "Making .venv with Python $(version_of "$python")"
    "$python" -m venv --clear .venv
}

pip() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input --quiet "$@"
}

checksum() {
    cat "$@" | cksum | tr ' ' '-'
}

# Wheels carry nearly all they need: OpenCV's lacks libGL (there is another build of it),
# rasterio's lacks libexpat (there is none).
check_libraries() {
    .venv/bin/python .ci/ensure_cv2.py
    said=$(.venv/bin/python -c 'import rasterio' 2>&1) ||
        fail "rasterio cannot be imported ($(echo "$said" | tail -n 1)): install the library that it misses (on Debian and Ubuntu: apt-get install libexpat1) and run make again."
}

install_lock() {
    stamp=".venv/stamp-$1-$(checksum ".ci/requirements-$1.txt")"
    [ -f "$stamp" ] && return
    echo "Installing .ci/requirements-$1.txt"
    pip install --no-deps --requirement ".ci/requirements-$1.txt"
    [ "$1" != core ] || check_libraries
    rm -f .venv/stamp-"$1"-*
    touch "$stamp"
}

install_project() {
    # The folder counts too: an editable installation points to where the checkout was.
    stamp=".venv/stamp-project-$(checksum pyproject.toml)-$(pwd | checksum)"
    [ -f "$stamp" ] && return
    pip install --no-deps --no-build-isolation --editable .
    rm -f .venv/stamp-project-*
    touch "$stamp"
}

make_environment
install_lock core
install_project
[ "${1:-core}" = core ] || install_lock "$1"
