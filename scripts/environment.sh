# Sourced by the scripts beside it, which set `project` first. Makes the project's Python environment where it is
# missing or out of date, and costs a few milliseconds where it is not. POSIX sh; Linux and macOS.
#
#   prepare_environment [dev|image|report]    afterwards "$python" is the environment's Python
#
# Everything lands in the project's git-ignored .venv and .tools, but for uv's own cache and a Python that uv downloads.
# Says what is wrong in one line and exits with 2.

environment_fail() {
    printf '%s\n' "${0##*/}: $1" >&2
    exit 2
}

prepare_environment() {
    environment_group=${1:-}
    # shellcheck disable=SC2154 # the script that sources this sets it
    python=$project/.venv/bin/python
    environment_is_current && return
    # A subshell, so that the traps and the lock are gone when it ends, whichever way it ends.
    (environment_set_up) || exit
}

# One stamp for what the environment was made from, kept inside the environment, so that it goes where that goes.
environment_is_current() {
    environment_stamp=$(cat "$project/pyproject.toml" "$project/constraints.txt" | cksum)
    # What a group's environment holds, those that hold more have as well.
    case $environment_group in
        dev) environment_stamped=dev ;;
        image) environment_stamped='image dev' ;;
        report) environment_stamped='report image dev' ;;
        *) environment_stamped='runtime report image dev' ;;
    esac
    for stamped in $environment_stamped; do
        [ -x "$python" ] && [ -f "$project/.venv/foundry-$stamped" ] || continue
        read -r stamp <"$project/.venv/foundry-$stamped" || continue
        [ "$stamp" = "$environment_stamp" ] && return 0
    done
    return 1
}

environment_set_up() {
    tools=$project/.tools
    log=$tools/setup.log
    mkdir -p "$tools" 2>/dev/null || environment_fail "cannot write to $project: make it yours to write, or clone it elsewhere."
    environment_lock
    environment_is_current && return # another start was quicker
    printf '%s\n' "${0##*/}: setting up the Python environment in ${project}/.venv, once" >&2
    : >"$log"
    environment_find_uv
    environment_make_venv
    environment_install
    printf '%s\n' "$environment_stamp" >"$project/.venv/foundry-${environment_group:-runtime}"
}

# Only one start at a time makes the environment. A directory is made or not made, in one step, on every file system.
environment_lock() {
    lock=$tools/setup.lock
    waited=0
    until mkdir "$lock" 2>/dev/null; do
        holder=$(cat "$lock/pid" 2>/dev/null) || holder=
        # No pid yet: its owner has just made it, or died in that very moment.
        if [ -n "$holder" ] && ! kill -0 "$holder" 2>/dev/null || [ -z "$holder" ] && [ "$waited" -ge 30 ]; then
            mv "$lock" "$lock.$$" 2>/dev/null && rm -rf "$lock.$$"
            waited=0
            continue
        fi
        [ "$waited" -eq 0 ] && [ -n "$holder" ] && printf '%s\n' "${0##*/}: waiting for another start that is setting up" >&2
        waited=$((waited + 1))
        sleep 1
    done
    trap 'rm -rf "$lock"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # $$ would be the script itself, also from in here: it lives at least as long as this subshell.
    printf '%s\n' "$$" >"$lock/pid"
}

environment_find_uv() {
    for uv in uv "$tools/uv/bin/uv" "$tools/uv-target/bin/uv" "${HOME:-}/.local/bin/uv" "${HOME:-}/.cargo/bin/uv" \
        /usr/local/bin/uv /opt/homebrew/bin/uv; do
        # Found is not enough: a pyenv shim is found also where no Python behind it has uv.
        "$uv" --version >/dev/null 2>&1 && return
    done
    found_python=
    environment_pythons | {
        while IFS= read -r candidate; do
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1 || continue
            found_python=$candidate
            environment_bootstrap_uv "$candidate" && exit 0
        done
        [ -n "$found_python" ] && exit 1
        exit 3
    } || case $? in
        3) environment_fail "found neither uv nor a Python (3.8 or newer) to install it with: install one (https://docs.astral.sh/uv, or your system's python3) and start again." ;;
        *) environment_fail "could not install uv with pip ($(environment_last_line)): check the network and pip's settings, or install uv (https://docs.astral.sh/uv) and start again." ;;
    esac
    for uv in "$tools/uv/bin/uv" "$tools/uv-target/bin/uv"; do
        "$uv" --version >/dev/null 2>&1 && return
    done
}

# Every Python that could be one, one a line, the likeliest first.
environment_pythons() {
    printf '%s\n' python3 python
    environment_pyenv_bins | while IFS= read -r bin; do printf '%s\n' "$bin/python3"; done
    printf '%s\n' /usr/bin/python3 /usr/local/bin/python3 /opt/homebrew/bin/python3
}

# pyenv's shims answer only for the versions that .python-version names; behind them there may be more. Newest first.
environment_pyenv_bins() {
    pyenv_root=${PYENV_ROOT:-$(pyenv root 2>/dev/null)} || pyenv_root=
    for bin in "${pyenv_root:-${HOME:-}/.pyenv}"/versions/3.*/bin; do
        [ -x "$bin/python3" ] && printf '%s\n' "$bin"
    done | awk -F'/versions/3[.]' '{ split($2, n, /[^0-9]/); printf "%d\t%s\n", n[1], $0 }' | sort -rn | cut -f2-
}

environment_bootstrap_uv() {
    rm -rf "$tools/uv" "$tools/uv-target"
    # Some systems ship a Python without venv (Debian: python3-venv) but with pip; some old pips do not know uv's wheels.
    if "$1" -m venv "$tools/uv" >>"$log" 2>&1; then
        "$tools/uv/bin/python" -m pip install --quiet uv >>"$log" 2>&1 ||
            { "$tools/uv/bin/python" -m pip install --quiet --upgrade pip && "$tools/uv/bin/python" -m pip install --quiet uv; } >>"$log" 2>&1
    else
        rm -rf "$tools/uv"
        "$1" -m pip install --quiet --target "$tools/uv-target" uv >>"$log" 2>&1
    fi && { "$tools/uv/bin/uv" --version >/dev/null 2>&1 || "$tools/uv-target/bin/uv" --version >>"$log" 2>&1; }
}

environment_make_venv() {
    # -x follows the link: an environment whose Python was removed or upgraded away is made again.
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' >/dev/null 2>&1 && return
    rm -rf "$project/.venv"
    PATH=$PATH$(environment_pyenv_bins | while IFS= read -r bin; do printf ':%s' "$bin"; done)
    # What the machine has comes first: a download is for machines that have no Python 3.12 or newer at all.
    for wanted in '3.12 --no-python-downloads' '>=3.12 --no-python-downloads' '3.12'; do
        # shellcheck disable=SC2086 # the words are meant to be split
        "$uv" venv --quiet --no-project --no-config "$project/.venv" --python $wanted >>"$log" 2>&1 && return
        rm -rf "$project/.venv"
    done
    environment_fail "needs Python 3.12 or newer, and uv could not download one ($(environment_last_line)): install it (apt install python3.12, brew install python@3.12 or pyenv install 3.12) and start again."
}

environment_install() {
    environment_with_what_pip_knows environment_uv_install && return
    environment_fail "could not install the packages ($(environment_last_line)): check the network or your package index (UV_DEFAULT_INDEX) and start again; all of it: $log"
}

# Runs a command that installs with uv, up to three times. In companies the network's certificates are often known to the
# system only, and the package index to pip only: with what those know, for this once.
environment_with_what_pip_knows() {
    "$@" && return
    (
        export UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1 # the newer and the older name
        "$@" && exit
        [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || exit 1
        UV_DEFAULT_INDEX=$(environment_pip_index)
        export UV_DEFAULT_INDEX
        [ -n "$UV_DEFAULT_INDEX" ] && "$@"
    )
}

environment_uv_install() (
    cd "$project" || exit 1
    # shellcheck disable=SC2086 # two words or none
    "$uv" pip install --quiet --python "$python" -r pyproject.toml ${environment_group:+--group $environment_group} \
        -c constraints.txt >>"$log" 2>&1
)

environment_pip_index() {
    environment_pythons | while IFS= read -r candidate; do
        "$candidate" -m pip config get global.index-url 2>/dev/null && break
    done
}

environment_last_line() {
    # Without the user and password that a package index's address may hold.
    awk 'NF && !/^ *hint:/ { line = $0 } END { print line }' "$log" | sed -e 's#//[^/@ ]*@#//#g' -e 's/^[[:space:]×╰─▶├│]*//' | cut -c1-200
}
