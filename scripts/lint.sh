#!/bin/sh
# Every check that needs no run of the code; says which of them found something. Run it by `make lint`.
set -u
cd "$(dirname -- "$0")/.." || exit 1

bad=''
check() {
    began=$(date +%s)
    what=$1
    shift
    "$@" || bad="$bad, $what"
    printf 'lint: %s (%d s)\n' "$what" "$(($(date +%s) - began))"
}

shell_scripts() {
    find .ci meshvm lab scripts examples tests -type f \( -name '*.sh' -o -path .ci/run \) -exec shellcheck {} +
}

# A program of Pulumi's is a folder with a __main__.py: each is checked alone, as they would all have one name.
examples() {
    status=0
    for program in examples/*/__main__.py; do
        [ ! -e "$program" ] || MYPYPATH=$(dirname "$program") mypy "$program" || status=1
    done
    return "$status"
}

check 'ruff check' ruff check
check 'ruff format' ruff format --check
check 'shellcheck' shell_scripts
check 'mypy' mypy
check 'mypy, examples' examples
if [ -n "$bad" ]; then
    echo "lint: failed: ${bad#, }"
    exit 1
fi
