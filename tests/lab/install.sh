#!/bin/sh
# Installs what the project's commands need: `venv DIR` a virtual environment, `fuzz DIR` the fuzzer into it,
# `routers` the system's packages.
set -eu

ROUTERS="bird2 frr gobgpd openbgpd iproute2 nftables openssl util-linux"

as_root_on_debian() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; }

apt_install() {
    # Routers are installed under a policy that starts no service; one that is there already is kept.
    policy=/usr/sbin/policy-rc.d
    made=""
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        made=yes
    fi
    status=0
    {
        apt-get -qq update &&
            DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@"
    } >/dev/null || status=$?
    [ -z "$made" ] || rm -f "$policy"
    return "$status"
}

install_venv() {
    python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "error: Python 3.11 or later is needed ($python is not); set PYTHON=/path/to/python3.11" >&2
        exit 1
    fi
    if ! "$python" -c 'import ensurepip' 2>/dev/null; then
        if as_root_on_debian; then
            apt_install python3-venv
        else
            echo "error: $python has no venv module; on Debian or Ubuntu: sudo apt-get install python3-venv" >&2
            exit 1
        fi
    fi
    echo "Setting up the virtual environment in $1"
    "$python" -m venv "$1"
    "$1/bin/python" -m pip install --quiet --upgrade "pip>=25.1"
    "$1/bin/python" -m pip install --quiet --constraint constraints.txt --group dev --editable .
}

install_fuzzer() {
    "$1/bin/python" -c 'import atheris' 2>/dev/null && return
    # Not fatal: there is no atheris for every Python, and the run says what it does without it.
    "$1/bin/python" -m pip install --quiet --only-binary :all: atheris 2>/dev/null || true
}

install_routers() {
    missing=""
    for package in $ROUTERS; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
    done
    command -v kubectl >/dev/null 2>&1 || missing="$missing kubernetes-client"
    [ -n "$missing" ] || return 0
    if as_root_on_debian; then
        echo "Installing$missing"
        # shellcheck disable=SC2086 # a list of package names
        apt_install $missing
        return
    fi
    # Not fatal: the test run names what it left out, and how to get it.
    echo "Not installed (needs root on Debian or Ubuntu):$missing" >&2
}

case "${1:-}" in
    venv) install_venv "$2" ;;
    fuzz) install_fuzzer "$2" ;;
    routers) install_routers ;;
    *)
        echo "usage: install.sh venv DIR | fuzz DIR | routers" >&2
        exit 2
        ;;
esac
