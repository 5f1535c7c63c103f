#!/usr/bin/env bash
# A small network on this machine's loopback: three nodes, a miner, and a resolver with a node of
# its own, as processes of the dev network on free ports. The data is removed at the end.
#
#   docker/regtest.sh           starts it, prints how to use it, and runs until Ctrl-C
#   docker/regtest.sh --check   starts it, registers a name on one node, resolves it on the others,
#                               and exits
#
# NAMECHAIN_BIN_DIR names a directory with the programs; without it they are built.
. "$(dirname "$0")/common.sh"

check=no
case "${1:-}" in
    "") ;;
    --check) check=yes ;;
    *) fail "what is $1? there is only --check" ;;
esac

find_programs
any=/ip4/127.0.0.1/tcp/0
node() { start "$1" -- namechaind --network dev --api 127.0.0.1:0 --listen "$any" "${@:2}"; }
node node-1 --mine off
first=$(told node-1 p2p)
node node-2 --mine off --peer "$first"
node node-3 --mine off --peer "$first" --peer "$(told node-2 p2p)"
node miner --mine on-demand --peer "$first"
start resolver -- resolver --dev --mine off --listen 127.0.0.1:0 --api 127.0.0.1:0 --upstream 127.0.0.1:9 \
    --peer "$first" --peer "$(told node-3 p2p)"

dns=$(told resolver dns)
zonetool() { "$bin/zonetool" --keys "$work/keys" "$@"; }
answers() {
    local got
    got=$(dig -r +short +tries=1 +time=2 "@${dns%:*}" -p "${dns##*:}" www.alice A)
    [ "$got" = 192.0.2.10 ]
}
knows() { zonetool --node "http://$(told "$1" api)" show alice; }

if [ "$check" = yes ]; then
    zonetool key new --no-passphrase >/dev/null
    for name in node-1 node-2 node-3 miner resolver; do
        until_works zonetool --node "http://$(told "$name" api)" status --watch --timeout 60
    done
    zonetool --node "http://$(told node-1 api)" register alice --zone "$root/testdata/zones/alice.zone" --wait --timeout 60
    for name in node-2 node-3 miner; do until_works knows "$name"; done
    until_works answers
    say "registered at node-1, known to node-2, node-3 and the miner, answered by the resolver"
    exit 0
fi

say "A network of five, on loopback:"
for name in node-1 node-2 node-3 miner resolver; do
    say "  $name  API http://$(told "$name" api)  peers $(told "$name" p2p)"
done
say "Try, in another terminal:"
say "  $bin/zonetool key new --no-passphrase --keys $work/keys"
say "  $bin/zonetool --keys $work/keys --node http://$(told node-1 api) register alice --zone $root/testdata/zones/alice.zone --wait"
say "  dig @${dns%:*} -p ${dns##*:} www.alice"
say "  $bin/zonetool --node http://$(told node-2 api) peers"
stay
