#!/bin/sh
# Puts this checkout beside the release that runs, looks whether it is well, exchanges the two, and goes back by itself where
# it is not. Requests wait in the socket meanwhile, workers end their chunks.
#
#   sudo scripts/deploy.sh [--name NAME] [--back]
#
# --back exchanges with the release before. NAME is that of the folder; without one it is the commit.
# ROOT is a folder that stands for /, URL is asked for the health, CHECK_PORT is where a release is looked at first, and
# WAIT the seconds that it then has to become well in its place (60).
set -eu
cd "$(dirname -- "$0")/.."
. scripts/places.sh

url=${URL:-http://127.0.0.1:8000}
check_port=${CHECK_PORT:-8099}
kept=3
name=
back=no
while [ $# -gt 0 ]; do
    case $1 in
    --name) name=${2:?} && shift 2 ;;
    --back) back=yes && shift ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
done
[ -d "$ROOT$RELEASES" ] || fail "There is no $RELEASES: run scripts/setup_ec2.sh first."

current() {
    readlink "$ROOT$CURRENT" 2>/dev/null | sed 's|.*/||'
}

# The one that ran before the one that runs.
before() {
    cat "$ROOT$RELEASES/.before" 2>/dev/null || true
}

uses_celery() {
    grep -Eq '^BROKER_URL=.+' "$ROOT$SETTINGS/vectordb.env" || [ -s "$ROOT$SETTINGS/credentials/broker_url" ]
}

copy_release() {
    name=${name:-$(git rev-parse --short=12 HEAD)}
    place=$ROOT$RELEASES/$name
    [ "$name" != "$(current)" ] || fail "The release $name runs already."
    rm -rf "$place"
    mkdir -p "$place"
    tar -cf - --exclude=__pycache__ app rowvec scripts docs infrastructure test_data vectordb .env.example \
        gunicorn.conf.py requirements.txt LICENSE | tar -xf - -C "$place"
}

# One for each list of pins: releases with the same pins share it.
make_venv() {
    pins=$(sha256sum requirements.txt | cut -c1-16)
    VENV=$ROOT$VENVS/$pins scripts/setup.sh
    ln -s "../../venvs/$pins" "$place/.venv"
    ln -s "$ROOT$SETTINGS/vectordb.env" "$place/.env"
}

# As the user of the service; in a folder that stands for / as whoever tries.
as_user() {
    if [ -n "$ROOT" ]; then "$@"; else setpriv --reuid "$USER_NAME" --regid "$USER_NAME" --init-groups "$@"; fi
}

# What systemd gives to the units: readable for the user only, and gone afterwards.
lend_credentials() {
    install -d -m 0755 "$ROOT/run"
    lent=$(mktemp -d "$ROOT/run/vectordb-check.XXXXXX")
    trap 'rm -rf "$lent"' EXIT
    find "$ROOT$SETTINGS/credentials" -type f -exec cp -t "$lent" {} +
    [ -n "$ROOT" ] || chown -R "$USER_NAME:$USER_NAME" "$lent"
}

# The new release beside the one that runs, with the same settings, on a port of its own.
looks_well() {
    lend_credentials
    (
        cd "$place"
        as_user env DATA_DIR="$ROOT$DATA" CREDENTIALS_DIRECTORY="$lent" .venv/bin/python -m gunicorn app.main:app \
            -w 1 -k uvicorn_worker.UvicornWorker --bind "127.0.0.1:$check_port" --pid "$lent/.pid"
    ) >"$ROOT$RELEASES/.check.log" 2>&1 &
    checked=$!
    well=0
    scripts/health_check.sh --ready --url "http://127.0.0.1:$check_port" --wait 120 --while "$checked" || well=1
    [ ! -s "$lent/.pid" ] || kill "$(cat "$lent/.pid")"
    wait "$checked" || true
    return "$well"
}

exchange() {
    ln -sfn "releases/$1" "$ROOT$CURRENT.new"
    mv -T "$ROOT$CURRENT.new" "$ROOT$CURRENT"
    systemctl restart vectordb-api.service
    if uses_celery; then systemctl restart vectordb-worker.service; fi
}

# In its place, within so many seconds.
is_well() {
    scripts/health_check.sh --ready --url "$url" --wait "$1"
}

forget_old() {
    find "$ROOT$RELEASES" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %f\n' | sort -rn | tail -n "+$((kept + 1))" |
        while read -r _ old; do
            [ "$old" = "$(current)" ] || [ "$old" = "$(before)" ] || rm -rf "${ROOT:?}$RELEASES/$old"
        done
}

running=$(current)
if [ "$back" = yes ]; then
    name=$(before)
    if [ -z "$name" ] || [ ! -d "$ROOT$RELEASES/$name" ]; then fail "There is no release before $running."; fi
else
    copy_release
    make_venv
    looks_well || {
        rm -rf "$place"
        fail "The release $name is not well: $RELEASES/.check.log has its words. ${running:-Nothing} still runs, untouched."
    }
fi
exchange "$name"
if ! is_well "${WAIT:-60}"; then
    [ -n "$running" ] || fail "The release $name is not well, and there is none before it: journalctl -u vectordb-api."
    say "The release $name is not well: going back to $running."
    exchange "$running"
    is_well 120 || fail "$running is not well either: journalctl -u vectordb-api."
    fail "The release $name was not well; $running runs again."
fi
printf '%s\n' "$running" >"$ROOT$RELEASES/.before"
forget_old
say "The release $name runs${running:+, after $running}."
