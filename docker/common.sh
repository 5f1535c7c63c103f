# Shared by the scripts in this directory: building, starting and ending programs. Sourced, not run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
work=$(mktemp -d)
pids=()

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# Ends what was started, and nothing else: each process by its number.
finish() {
    local code=$? pid
    trap - EXIT INT TERM
    for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    if [ "$code" != 0 ] && [ "$code" != 130 ]; then
        for log in "$work"/*.log; do
            [ -e "$log" ] || continue
            printf -- '--- the end of %s\n' "$log" >&2
            tail -n 20 "$log" >&2
        done
    fi
    if declare -F clean_up >/dev/null; then clean_up; fi
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

# The programs: those in $NAMECHAIN_BIN_DIR, or a release build.
find_programs() {
    bin=${NAMECHAIN_BIN_DIR:-}
    if [ -z "$bin" ]; then
        say "building (cargo build --release --bins) ..."
        cargo build --quiet --release --bins --manifest-path "$root/Cargo.toml"
        bin=${CARGO_TARGET_DIR:-$root/target}/release
    fi
    local program
    for program in namechaind resolver zonetool; do
        [ -x "$bin/$program" ] || fail "there is no $bin/$program"
    done
}

# Starts a program: start NAME PREFIX... -- PROGRAM ARGUMENTS...
# Waits for the line that the program prints when it is ready.
start() {
    local name=$1 prefix=() tries=0
    shift
    while [ "$1" != -- ]; do
        prefix+=("$1")
        shift
    done
    shift
    local program=$1
    shift
    "${prefix[@]}" "$bin/$program" "$@" --data-dir "$work/$name" --json >"$work/$name.json" 2>"$work/$name.log" &
    pids+=($!)
    until [ -s "$work/$name.json" ]; do
        kill -0 "${pids[-1]}" 2>/dev/null || fail "$name has ended at the start"
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "$name does not start"
        sleep 0.1
    done
}

# What a program said at its start: told NAME KEY. Of a list, the first.
told() { sed -n "s/.*\"$2\":\[\{0,1\}\"\([^\"]*\)\".*/\1/p" "$work/$1.json"; }

# Repeats a command until it works, for at most two minutes.
until_works() {
    local tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || fail "this does not come to work: $*"
        sleep 0.2
    done
}

# Stays until somebody presses Ctrl-C, or one of the programs ends.
stay() {
    say "Ctrl-C ends all of it."
    wait -n "${pids[@]}" || true
    fail "one of the programs has ended"
}
