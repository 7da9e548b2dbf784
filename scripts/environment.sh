# Sourced by ./run, ./sekisho and ./test: makes .venv/ in the checkout, once per state of the requirement files.
# needs_environment FILE...: the requirement files to install. Sets nothing but PATH-independent files under .venv/.

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for candidate in "${SEKISHO_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] || continue
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

needs_environment() {
    stamp=.venv/.sekisho-stamp
    # The stamp names the place too: a virtual environment does not survive a move of its folder.
    wanted=$( (pwd; cat "$@" pyproject.toml) | cksum)" $*"
    if [ -x .venv/bin/sekisho ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    python=$(find_python) || {
        say "sekisho needs Python 3.11 or newer, and found none."
        say "On Debian 12 or Ubuntu 24.04:  apt-get install python3 python3-venv"
        exit 1
    }
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        say "$python cannot make virtual environments: the module venv or ensurepip is missing."
        say "On Debian or Ubuntu:  apt-get install python3-venv"
        exit 1
    fi
    say "Making the environment in .venv (once; about a minute) ..."
    if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null; then
        rm -rf .venv
        "$python" -m venv .venv || { say "could not make .venv in $(pwd): is the folder writable?"; exit 1; }
    fi
    requirements=
    for file in "$@" requirements-build.txt; do
        requirements="$requirements -r $file"
    done
    # shellcheck disable=SC2086 # a list of options, without spaces inside
    if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes $requirements; then
        say "installing the Python packages failed (the lines above say which and why)."
        say "A package index must be reachable, or set PIP_NO_INDEX and PIP_FIND_LINKS to a folder that holds them."
        exit 1
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation --editable . || {
        say "linking sekisho itself into .venv failed."
        exit 1
    }
    printf '%s' "$wanted" >"$stamp"
}

# The program itself, from whatever environment is there: ./test's holds everything that it needs.
needs_program() {
    tests=requirements-dev.txt
    if ! { [ -x .venv/bin/sekisho ] && [ "$(cat .venv/.sekisho-stamp 2>/dev/null)" = "$( (pwd; cat "$tests" pyproject.toml) | cksum) $tests" ]; }; then
        needs_environment requirements.txt
    fi
}
