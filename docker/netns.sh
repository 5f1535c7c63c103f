#!/usr/bin/env bash
# Four machines in one: three nodes (the first mines) and a resolver with a node of its own. Each
# runs in a network namespace with its own address, on two switches with a cable between them that
# can be disconnected. Needs root and ip (iproute2).
#
#   docker/netns.sh           starts them, prints how to use them, and runs until Ctrl-C
#   docker/netns.sh --check   starts them, registers a name on one node, resolves it on another,
#                             disconnects the cable and connects it again
#
# NAMECHAIN_BIN_DIR names a directory with the programs; without it they are built.
. "$(dirname "$0")/common.sh"

check=no
case "${1:-}" in
    "") ;;
    --check) check=yes ;;
    *) fail "what is $1? there is only --check" ;;
esac
[ "$(id -u)" = 0 ] || fail "network namespaces need root: run this as root"
command -v ip >/dev/null || fail "there is no ip: install iproute2"

# Names that nobody else has.
tag=nc$$
hub=$tag-hub
namespaces=()
clean_up() {
    local namespace
    for namespace in "${namespaces[@]}"; do ip netns delete "$namespace" 2>/dev/null || true; done
}
namespace() {
    ip netns add "$1" || fail "the kernel makes no network namespaces here"
    namespaces+=("$1")
    ip -n "$1" link set lo up
}
# machine NAME SWITCH ADDRESS
machine() {
    namespace "$tag-$1"
    ip link add eth0 netns "$tag-$1" type veth peer name "to-$1" netns "$hub"
    ip -n "$hub" link set "to-$1" master "$2" up
    ip -n "$tag-$1" address add "$3/24" dev eth0
    ip -n "$tag-$1" link set eth0 up
}

find_programs
namespace "$hub"
for switch in left right; do ip -n "$hub" link add "$switch" type bridge && ip -n "$hub" link set "$switch" up; done
ip -n "$hub" link add cable type veth peer name socket
ip -n "$hub" link set cable master left up
ip -n "$hub" link set socket master right up
machine node-1 left 10.199.0.1
machine node-2 left 10.199.0.2
machine node-3 right 10.199.0.3
machine dns right 10.199.0.4

inside() { ip netns exec "$tag-$1" "${@:2}"; }
node() {
    start "$1" ip netns exec "$tag-$1" -- namechaind --network dev --api 127.0.0.1:7380 \
        --listen "/ip4/$2/tcp/7379" --listen "/ip4/$2/udp/7379/quic-v1" "${@:3}"
}
node node-1 10.199.0.1 --mine on-demand
node node-2 10.199.0.2 --mine off --peer /ip4/10.199.0.1/udp/7379/quic-v1
node node-3 10.199.0.3 --mine off --peer /ip4/10.199.0.1/tcp/7379 --peer /ip4/10.199.0.2/tcp/7379
start dns ip netns exec "$tag-dns" -- resolver --dev --mine off --listen 127.0.0.1:5300 --api 127.0.0.1:7380 \
    --upstream 127.0.0.1:9 --peer /ip4/10.199.0.1/tcp/7379 --peer /ip4/10.199.0.3/tcp/7379

zonetool() { inside "$1" "$bin/zonetool" --keys "$work/keys" "${@:2}"; }
answers() { [ "$(inside dns dig -r +short +tries=1 +time=2 @127.0.0.1 -p 5300 "www.$1" A)" = "$2" ]; }

if [ "$check" = yes ]; then
    zonetool node-2 key new --no-passphrase >/dev/null
    for name in node-1 node-2 node-3 dns; do until_works zonetool "$name" status --watch --timeout 60; done
    zonetool node-2 register alice --zone "$root/testdata/zones/alice.zone" --wait --timeout 60
    until_works answers alice 192.0.2.10
    say "registered on the left, answered on the right"
    ip -n "$hub" link set cable down
    zonetool node-2 register minimal --zone "$root/testdata/zones/minimal.zone" --wait --timeout 60
    if zonetool dns show minimal >/dev/null 2>&1; then fail "the cable is pulled, and something came through"; fi
    ip -n "$hub" link set cable up
    until_works zonetool dns show minimal
    say "the cable pulled, registered on the left, the cable plugged in again: known on the right"
    exit 0
fi

say "Four machines: $tag-node-1 and $tag-node-2 on the left, $tag-node-3 and $tag-dns on the right."
say "Try, in another terminal, as root:"
say "  ip netns exec $tag-node-2 $bin/zonetool --keys $work/keys key new --no-passphrase"
say "  ip netns exec $tag-node-2 $bin/zonetool --keys $work/keys register alice --zone $root/testdata/zones/alice.zone --wait"
say "  ip netns exec $tag-dns dig @127.0.0.1 -p 5300 www.alice"
say "  ip netns exec $tag-node-3 $bin/zonetool peers --data-dir $work/node-3"
say "Pull the cable between left and right, and plug it in again:"
say "  ip -n $hub link set cable down"
say "  ip -n $hub link set cable up"
stay
