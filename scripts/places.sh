# Where everything is on a machine that runs the service; read by setup_ec2.sh and deploy.sh. ROOT stands for /.
# shellcheck shell=sh disable=SC2034
ROOT=${ROOT:-}
USER_NAME=vectordb
RELEASES=/opt/vectordb/releases
VENVS=/opt/vectordb/venvs
CURRENT=/opt/vectordb/current
SETTINGS=/etc/vectordb
DATA=/var/lib/vectordb
UNITS=/etc/systemd/system

say() {
    printf '%s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
