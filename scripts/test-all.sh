#!/bin/sh
# Runs the tests on every supported Python, each in a venv of its own under .test-venvs.
set -eu
cd "$(dirname -- "$0")/.."

# Prints an interpreter of the version, from PATH, pyenv or uv.
find_version() {
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    uv python find "$1" 2>/dev/null
}

status=0
for version in 3.11 3.12 3.13; do
    if ! python=$(find_version "$version"); then
        printf 'error: there is no Python %s here. Install it: uv python install %s, or pyenv install %s\n' \
            "$version" "$version" "$version" >&2
        status=1
        continue
    fi
    printf '== Python %s\n' "$version" >&2
    PYTHON=$python VENV=.test-venvs/$version scripts/setup.sh dev
    ".test-venvs/$version/bin/python" -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@" || status=1
done
exit "$status"
