#!/bin/sh
# Pins what pyproject.toml asks for in requirements/dev.txt, each version with the hashes of all its files, so that one
# lock serves every platform and Python that the project supports. Run it by `make lock`.
#
# The gcp extra is left out: its SDK is as large as all the rest together, and what meshvm does on Google Cloud is
# tested where that SDK is installed already.
set -eu
cd "$(dirname -- "$0")/.."

# Where packages come from is the business of each machine: no address and no folder gets into the lock.
env -u PIP_FIND_LINKS CUSTOM_COMPILE_COMMAND='make lock' pip-compile \
    --quiet --generate-hashes --allow-unsafe --strip-extras --no-build-isolation \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
    --extra aws --extra cli --extra dev --output-file requirements/dev.txt "$@" pyproject.toml
echo "requirements/dev.txt: $(grep -c == requirements/dev.txt) packages"
