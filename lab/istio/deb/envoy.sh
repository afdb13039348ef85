#!/bin/sh
# Stand-in of Envoy: the agent forwards by itself; this file is here to be called with --version.
if [ "$#" -eq 1 ] && [ "$1" = --version ]; then
    printf '\n%s  version: 0000000000000000000000000000000000000000/1.38.3-stand-in/Clean/RELEASE/none\n\n' "$0"
    exit 0
fi
echo 'this envoy is a stand-in: it only knows --version' >&2
exit 1
