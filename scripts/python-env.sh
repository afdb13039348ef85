#!/bin/sh
# Runs a command with the Python that the project needs: `scripts/python-env.sh COMMAND [ARGUMENT...]`.
#
# The environment is a venv in the cache folder, keyed by the lock file and the interpreter; it is made when it is not
# there yet, and every checkout with the same lock shares it. So the project itself is not installed in it: PYTHONPATH
# names this checkout. Works as root and as a user; needs nothing but Python 3.11 or newer.
#
# PYTHON         the interpreter to use, instead of the first one on PATH that is new enough
# MESHVM_CACHE   the cache folder, instead of meshvm in the user's own
set -eu

checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
lock="$checkout/requirements/dev.txt"
cache=${MESHVM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/meshvm}
began=$(date +%s)

say() { printf '[%4d s] %s\n' "$(($(date +%s) - began))" "$*" >&2; }
fail() { say "$@"; exit 1; }

# The interpreters to try, best first.
candidates() {
    if [ -n "${PYTHON:-}" ]; then
        echo "$PYTHON"
    else
        echo python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3
    fi
}

# Prints the version and a digest of all that the environment depends on; fails when the interpreter is too old.
identify() {
    "$1" - "$lock" 2>/dev/null <<'PYTHON'
import hashlib, platform, sys
if sys.version_info < (3, 11):
    sys.exit(1)
with open(sys.argv[1], "rb") as lock:
    digest = hashlib.sha256(b"".join(line for line in lock if not line.lstrip().startswith(b"#")))
digest.update(f"{sys.implementation.cache_tag} {sys.base_prefix} {platform.machine()}".encode())
print(platform.python_version(), digest.hexdigest()[:12])
PYTHON
}

# Sets `python`, `version` and `digest`.
find_python() {
    for python in $(candidates); do
        if found=$(identify "$python"); then
            version=${found% *} digest=${found#* }
            return
        fi
    done
    fail "No Python 3.11 or newer among: $(candidates). Install one, or name it: make PYTHON=/path/to/python3 ..."
}

# Debian and Ubuntu keep what `python -m venv` needs in a package of its own.
need_venv() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    package="python${version%.*}-venv"
    command -v apt-get >/dev/null || fail "$python cannot make a venv (no module ensurepip): install it with the system's packages."
    [ "$(id -u)" = 0 ] || fail "$python cannot make a venv: run 'sudo apt-get install $package', then this again."
    say "Installing $package, which $python needs to make a venv (log: $log) ..."
    apt() { DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$log" 2>&1; }
    apt install "$package" || { apt update && apt install "$package"; } || failed "apt-get install $package"
}

failed() {
    tail -n 15 "$log" | sed 's/^/  | /' >&2
    fail "$1 failed; the whole log: $log"
}

# The marker is written last: a run that was cut off leaves a folder without it, which the next run begins anew.
make_env() {
    need_venv
    say "Making the Python environment $venv: Python $version, $(grep -c == "$lock") locked packages (log: $log) ..."
    "$python" -m venv --clear "$venv" >>"$log" 2>&1 || failed "$python -m venv"
    # Wheels alone: building from source would run code that no hash covers. Compiled when imported: few of the
    # SDKs' thousands of modules ever are.
    "$venv/bin/python" -m pip install --require-hashes --no-deps --only-binary=:all: --no-compile \
        --disable-pip-version-check --no-input -r "$lock" >>"$log" 2>&1 || failed "pip install -r requirements/dev.txt"
    "$venv/bin/python" -m pip check --disable-pip-version-check >>"$log" 2>&1 || failed "pip check"
    : >"$venv/.complete"
    say "Making the Python environment: done"
}

usable() { [ -e "$venv/.complete" ] && "$venv/bin/python" -c '' 2>/dev/null; }

[ $# -gt 0 ] || fail "usage: scripts/python-env.sh COMMAND [ARGUMENT...]"
find_python
venv="$cache/python-$version-$digest"
log="$venv.log"
if usable; then
    say "Python $version: found $venv"
else
    mkdir -p "$cache" 2>/dev/null || fail "Cannot write to the cache folder $cache: name another one in MESHVM_CACHE."
    : >>"$log" || fail "Cannot write to the cache folder $cache, which belongs to another user: name another one in MESHVM_CACHE."
    if command -v flock >/dev/null; then
        exec 9>"$venv.lock"
        flock -n 9 || { say "Waiting for another run that makes $venv ..."; flock 9; }
        usable || make_env
        exec 9>&-
    else
        make_env
    fi
fi

PATH="$venv/bin:$PATH" VIRTUAL_ENV="$venv" PYTHONPATH="$checkout" MESHVM_CACHE="$cache"
# Beside the environment rather than in the checkout: a fresh clone finds them full, and `sudo make` leaves nothing there.
MYPY_CACHE_DIR="${MYPY_CACHE_DIR:-$cache/mypy}" RUFF_CACHE_DIR="${RUFF_CACHE_DIR:-$cache/ruff}"
export PATH VIRTUAL_ENV PYTHONPATH MESHVM_CACHE MYPY_CACHE_DIR RUFF_CACHE_DIR
unset PYTHONHOME
exec "$@"
