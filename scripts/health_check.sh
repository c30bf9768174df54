#!/bin/sh
# Does the service answer, and are its parts there? Prints one line; ends with 0 when all is well, 1 when it is not.
#
#   scripts/health_check.sh [--url http://127.0.0.1:8000] [--wait SECONDS [--while PID]] [--version VERSION] [--ready]
#
# --wait tries again until then, --while as long as that process is there; --version wants that version to answer;
# --ready asks only whether it serves and its ledger answers, not for workers and providers.
set -eu

url=http://127.0.0.1:8000
wait=0
pid=
version=
path=/api/v1/health
while [ $# -gt 0 ]; do
    case $1 in
    --url) url=${2:?} && shift 2 ;;
    --wait) wait=${2:?} && shift 2 ;;
    --version) version=${2:?} && shift 2 ;;
    --while) pid=${2:?} && shift 2 ;;
    --ready) path=/readyz && shift ;;
    *)
        sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
done

# Prints what the service says, or why it says nothing.
ask() {
    curl --silent --show-error --max-time 10 "$url$path" 2>&1
}

is_well() {
    case $1 in
    *'"status":"healthy"'* | *'"status":"ready"'*) ;;
    *) return 1 ;;
    esac
    case $version in
    '') ;;
    *) case $(curl --silent --max-time 10 "$url/api/v1/health" 2>/dev/null) in
        *"\"version\":\"$version\""*) ;;
        *) return 1 ;;
        esac ;;
    esac
}

end=$(($(date +%s) + wait))
while :; do
    said=$(ask) || true
    if is_well "$said"; then
        printf 'healthy: %s\n' "$url"
        exit 0
    fi
    [ "$(date +%s)" -lt "$end" ] || break
    [ -z "$pid" ] || kill -0 "$pid" 2>/dev/null || break
    sleep 1
done
printf 'not healthy: %s%s says: %s\n' "$url" "$path" "${said:-nothing}" >&2
exit 1
