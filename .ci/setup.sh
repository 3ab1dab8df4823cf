#!/bin/sh
# Sets up .venv/ for the project: `setup.sh core` to use it, `setup.sh dev` to test it too.
# Does again only what has changed since: stamps in .venv/ carry the check sums of the locks.
set -eu
cd "$(dirname "$0")/.."

fail() {
    rm -f .venv/stamp-core-*
    echo "$*" >&2
    exit 1
}

pip() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input --quiet "$@"
}

python=${PYTHON:-python3}
here=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
there=$(.venv/bin/python -c 'import pip, sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none)
# Keep what works, unless another Python is asked for by name
if [ "$there" = none ] || { [ -n "${PYTHON:-}" ] && [ "$here" != "$there" ]; }; then
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        fail "Python 3.11 or newer is needed, and $python is $here: name another one with make PYTHON=/path/to/python3."
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python has no venv module: install it (on Debian and Ubuntu: apt-get install python3-venv) and run make again."
    echo "Making .venv with Python $here"
    "$python" -m venv --clear .venv
fi

# install_once STAMP FILE WORDS...: pip's words, unless they were done for this file
install_once() {
    stamp=".venv/stamp-$1-$({ pwd; cat "$2"; } | cksum | tr ' ' '-')"
    [ -f "$stamp" ] && return 1
    kind=$1
    shift 2
    echo "Installing $kind"
    pip install --no-deps "$@" || exit 1
    rm -f .venv/stamp-"$kind"-*
    touch "$stamp"
}

core=.ci/requirements-core.txt
if install_once core "$core" --requirement "$core"; then
    # OpenCV's ordinary build needs libGL, which slim systems lack: there the headless one of the same version
    if ! .venv/bin/python -c 'import cv2' 2>/dev/null; then
        pip uninstall --yes opencv-contrib-python
        pip install --no-deps "$(sed -n 's/^opencv-contrib-python==/opencv-contrib-python-headless==/p' "$core")"
        .venv/bin/python -c 'import cv2' || fail "OpenCV cannot be imported in its headless build either."
    fi
    said=$(.venv/bin/python -c 'import rasterio' 2>&1) ||
        fail "rasterio cannot be imported ($(echo "$said" | tail -n 1)): install the library that it misses (on Debian and Ubuntu: apt-get install libexpat1) and run make again."
fi
install_once project pyproject.toml --no-build-isolation --editable . || true
[ "${1:-core}" = core ] || install_once dev .ci/requirements-dev.txt --requirement .ci/requirements-dev.txt || true
