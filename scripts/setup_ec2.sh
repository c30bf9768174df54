#!/bin/sh
# Makes a fresh Debian or Ubuntu machine ready for deploy.sh: packages, the user, folders, units, nginx. Run it again at any
# time: what is there stays, settings and secrets above all.
#
#   sudo scripts/setup_ec2.sh --domain vectordb.example.com [--redis] [--postgresql] [--no-packages]
#
# ROOT is a folder that stands for /, for a try.
set -eu
cd "$(dirname -- "$0")/.."
. scripts/places.sh

domain=
packages=yes
wanted='ca-certificates curl nginx-light python3 python3-venv'
while [ $# -gt 0 ]; do
    case $1 in
    --domain) domain=${2:?} && shift 2 ;;
    --redis) wanted="$wanted redis-server" && shift ;;
    --postgresql) wanted="$wanted postgresql" && shift ;;
    --no-packages) packages=no && shift ;;
    *)
        sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
    esac
done
[ -n "$domain" ] || fail "--domain is missing: the name under which the service will be asked."
[ "$(id -u)" = 0 ] || fail "This makes a user and folders of the system: run it as root, with sudo."

install_packages() {
    missing=
    for package in $wanted; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "Installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}

# The passwd of the system, or of the folder that stands for it.
make_user() {
    mkdir -p "$ROOT/etc"
    if grep -q "^$USER_NAME:" "$ROOT/etc/passwd" 2>/dev/null; then return 0; fi
    say "Making the user $USER_NAME"
    useradd ${ROOT:+--prefix "$ROOT"} --system --user-group --no-create-home --home-dir "$DATA" \
        --shell /usr/sbin/nologin "$USER_NAME"
}

# Its number and its group's, of that passwd.
owner() {
    awk -F: -v name="$USER_NAME" -v field="$1" '$1 == name { print $field }' "$ROOT/etc/passwd"
}

make_folders() {
    install -d -m 0755 "$ROOT$RELEASES" "$ROOT$VENVS" "$ROOT$SETTINGS" "$ROOT/var/www/letsencrypt"
    install -d -m 0700 "$ROOT$SETTINGS/credentials"
    install -d -m 0750 -o "$(owner 3)" -g "$(owner 4)" "$ROOT$DATA"
}

make_settings() {
    [ ! -e "$ROOT$SETTINGS/vectordb.env" ] || return 0
    say "Writing $SETTINGS/vectordb.env: fill it in; secrets are files in $SETTINGS/credentials"
    { cat .env.example && printf '\n# Of this machine.\nENVIRONMENT=production\n'; } |
        grep -v '^ENVIRONMENT=$' | install -m 0640 -g "$(owner 4)" /dev/stdin "$ROOT$SETTINGS/vectordb.env"
}

install_units() {
    install -d "$ROOT$UNITS"
    install -m 0644 infrastructure/systemd/vectordb-*.service infrastructure/systemd/vectordb-*.socket "$ROOT$UNITS"
    systemctl daemon-reload
    systemctl enable --quiet vectordb-api.socket vectordb-api.service
}

# Until there is a certificate of the name's, one of this machine's own, so that nginx can start.
make_certificate() {
    tls=$ROOT$SETTINGS/tls
    [ ! -e "$tls/fullchain.pem" ] || return 0
    say "Making a certificate of this machine's own in $SETTINGS/tls: put a real one there, and reload nginx"
    install -d -m 0700 "$tls"
    openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=$domain" -addext "subjectAltName=DNS:$domain" \
        -keyout "$tls/privkey.pem" -out "$tls/fullchain.pem" 2>/dev/null
}

install_nginx() {
    install -d "$ROOT/etc/nginx/conf.d" "$ROOT/var/log/nginx"
    # Debian's own default server would be a second one.
    rm -f "$ROOT/etc/nginx/sites-enabled/default"
    sed "s/vectordb\.example\.com/$domain/" infrastructure/nginx/vectordb-api.conf \
        >"$ROOT/etc/nginx/conf.d/vectordb-api.conf"
    systemctl reload-or-restart nginx
}

# An instance that answers without a token lets any forged request read its role's keys.
look_at_metadata() {
    [ -z "$ROOT" ] || return 0
    said=$(curl --silent --max-time 1 --output /dev/null --write-out '%{http_code}' \
        http://169.254.169.254/latest/meta-data/) || return 0
    [ "$said" = 401 ] || say "This instance gives its role away without a token (IMDSv1). Require IMDSv2:" \
        "aws ec2 modify-instance-metadata-options --http-tokens required --instance-id ID"
}

[ "$packages" = no ] || install_packages
make_user
make_folders
make_settings
install_units
make_certificate
install_nginx
look_at_metadata
say "Ready. Next: $SETTINGS/vectordb.env, then scripts/deploy.sh"
