"""Checks every vector of testdata/vectors and testdata/ed25519 with the protocol of docs/protocol.md as protocol.py
and rules.py have it.

    python3 testdata/verifier/verify.py [--first] [testdata]
    python3 testdata/verifier/verify.py --story FILE

With --first it ends at the first failure. A story is a chain of the dev network as it grew, a JSON object a line:

    {"operation": hex, "time": seconds, "refused": false or a rule's id}

for what the next block, of that time, can or cannot record after those before it that it can; then the block itself, or
others in its place that break a rule:

    {"block": hex, "accepted": true}, or "refused": the rule's id, or "upgrade_needed": true

Where an operation breaks several rules, the one that section 6 comes to first is named: times, what it is by itself, what
it does.

It needs Python 3.10 and argon2-cffi (Debian: python3-argon2), prints what fails and `N passed, N failed`, and ends with 1
if anything failed."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
try:
    import protocol as p
except ImportError as error:
    sys.exit(f"{error}: install argon2-cffi (Debian: python3-argon2)")
import ed25519
import rules

passed = failed = 0
first_only = False


def check(what, got, wanted=True):
    global passed, failed
    if got == wanted:
        passed += 1
        return
    failed += 1
    print(f"FAILED {what}: got {shown(got)}, wanted {shown(wanted)}")
    if first_only:
        finish()


def finish():
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def shown(value):
    return value.hex() if isinstance(value, bytes) else value


def refusal(judge, *arguments):
    """The id of the rule that is broken, or None."""
    try:
        judge(*arguments)
    except p.Refused as refused:
        return str(refused)
    return None


unhex = bytes.fromhex


# wire


def hashes(data):
    for x in data["examples"]:
        net = p.NETWORKS[x["network"]]
        if "domain" in x:
            check(f"tag {x}", p.tag(net, x["domain"]).hex(), x["tag"])
            check(f"hash {x}", p.h(net, x["domain"], b"abc").hex(), x["hash_of_abc"])
        for memory, value in x.get("work_of_abc", {}).items():
            check(f"work {x}", f"{p.work_value(net, int(memory), b'abc'):032x}", value)


def operations(data):
    net = p.NETWORKS[data["network"]]
    kinds = []
    for x in data["operations"]:
        op = p.decode_operation(unhex(x["bytes"]))
        kinds.append(op.kind)
        check(f"kind of {op.kind}", op.kind, x["kind"])
        check(f"id of {op.kind}", p.operation_id(net, op).hex(), x["id"])
        check(f"subject of {op.kind}", p.stamp_subject(net, op).hex(), x["subject"])
        check(f"stamp of {op.kind}", f"{p.stamp_value(net, op):032x}", x["stamp_value"])
        if op.kind != "commit":
            message = p.signing_message(net, 2, op)
            check(f"message of {op.kind}", message.hex(), x["signing_message"])
            check(f"signature of {op.kind}", op.signature.hex(), x["signature"])
            check(f"signature of {op.kind} verifies", ed25519.verify(op.signer, message, op.signature))
    check("one of each kind", kinds, list(p.KINDS.values()))


def whole(read, raw):
    reader = p.Reader(raw)
    value = read(reader)
    reader.end()
    return value


def messaging(data):
    net, name, title = p.NETWORKS[data["network"]], data["name"].encode(), unhex(data["title"])
    signed = whole(p.read_signed_messaging, unhex(data["signed"]))
    record = signed.record
    check("record", record.data.hex(), data["record"])
    check("hash", p.messaging_hash(net, record).hex(), data["hash"])
    check("identity", record.identity.hex(), data["identity"])
    check("next", record.next.hex(), data["next"])
    for domain, key, signature in (("possession", record.identity, signed.possession), ("link", *signed.link)):
        message = p.messaging_message(net, domain, name, title, record)
        check(f"message of {domain}", message.hex(), data[f"{domain}_message"])
        check(f"{domain} verifies", ed25519.verify(key, message, signature))


def blocks(data):
    for x in data["genesis"]:
        net = p.NETWORKS[x["network"]]
        check(f"genesis of {net.name}", p.genesis(net).data.hex(), x["header"])
        check(f"genesis id of {net.name}", p.header_id(net, p.genesis(net)).hex(), x["id"])
        check(f"genesis value of {net.name}", f"{p.header_value(net, p.genesis(net)):032x}", x["value"])
    net = p.NETWORKS[data["network"]]
    header, ops = p.read_block(unhex(data["block"]["bytes"]))
    check("block's id", p.header_id(net, header).hex(), data["block"]["id"])
    check("block's value", f"{p.header_value(net, header):032x}", data["block"]["value"])
    for x in data["ops_roots"]:
        count = x["operations"]
        check(f"ops root of {count}", p.ops_root(net, [op.data for op in ops[:count]]).hex(), x["root"])


def state(data):
    net = p.NETWORKS[data["network"]]
    for x in data["entries"]:
        raw = unhex(x["bytes"])
        entry = p.decode_entry(raw)
        check("entry again", entry.encode(), raw)
        check("key of an entry", entry.key(net).hex(), x["key"])
        check("value of an entry", p.h(net, "value", raw).hex(), x["value_hash"])


def tree(data):
    net = p.NETWORKS[data["network"]]
    leaves = [(p.h(net, "name-key", b"name%d" % i), bytes([i]) * 32) for i in range(9)]
    for x in data["roots"]:
        count = x["keys"]
        check(f"tree of {count}", p.tree_root(net, dict(leaves[:count])).hex(), x["root"])
    large = {p.h(net, "name-key", b"name%d" % i): bytes([i % 256]) * 32 for i in range(600)}
    check("tree of 600", p.tree_root(net, large).hex(), data["large_root"])
    for x in data["proofs"]:
        value = x["value_hash"] and unhex(x["value_hash"])
        holds = p.verify_tree_proof(net, unhex(x["root"]), unhex(x["key"]), value, unhex(x["proof"]))
        check(f"tree proof: {x['about']}: {x['key']}", holds, x["holds"])


def removal(data):
    net = p.NETWORKS[data["network"]]
    for x in data["cases"]:
        entries = [p.decode_entry(unhex(entry)) for entry in x["state"]]
        entries = {entry.key(net): entry for entry in entries}
        rules.remove_ended(net, entries, x["time"])
        check(f"removal: {x['about']}", sorted(key.hex() for key in entries), x["keys_after"])
        check(f"root after removal: {x['about']}", rules.state_root(net, entries).hex(), x["root_after"])


def history(data):
    net = p.NETWORKS[data["network"]]
    leaves = [p.leaf_of(net, bytes([i]) * 32, x["time"], x["due"]) for i, x in enumerate(data["headers"])]
    for leaf, x in zip(leaves, data["headers"]):
        check(f"work of {x}", leaf.work, int(x["work"]))
    for x in data["roots"]:
        count = x["leaves"]
        check(f"history of {count}", p.history_root(net, leaves[:count]).hex(), x["root"])
    for x in data["proofs"]:
        header = unhex(x["id"]), x["height"], x["time"], x["due"]
        holds = p.verify_place(net, unhex(x["root"]), unhex(x["proof"]), *header)
        check(f"place: {x['about']}: {x['height']}", holds, x["holds"])


def numbers(data):
    for x in data["targets"]:
        target = p.target(p.NETWORKS[x["network"]], x["time"], x["due"])
        check(f"target {x}", target, x["target"])
        check(f"value {x}", p.target_value(target), int(x["value"]))
        check(f"work {x}", p.target_work(target), int(x["work"]))
    for x in data["dues"]:
        check(f"due {x}", p.next_due(p.NETWORKS[x["network"]], x["parent_due"], x["parent_time"]), x["due"])
    for x in data["prices"]:
        net, price = p.NETWORKS[x["network"]], x["multiplier"]
        if "name" in x:
            check(f"registration {x}", rules.registration(net, x["name"].encode(), price), x["registration"])
            check(f"renewal {x}", rules.renewal(net, x["name"].encode()), x["renewal"])
            continue
        check(f"commitment {x}", rules.scaled(net.base, price), x["commitment"])
        check(f"rescue {x}", rules.rescue(net), x["rescue"])
        for r in x["records"]:
            check(f"records {r} of {x}", rules.records_price(net, r["bytes"], price), r["price"])
    aims = {"names": rules.COMMITS_AIMED_AT, "bytes": rules.BYTES_AIMED_AT}
    for x in data["multipliers"]:
        net, aim = p.NETWORKS[x["network"]], aims[x["which"]]
        check(f"multiplier {x}", rules.next_price(net, x["parent"], x["counted"], aim, x["seconds"]), x["next"])


READERS = {
    "name": p.read_name,
    "records": p.read_records,
    "messaging": p.read_signed_messaging,
    "operation": p.read_operation,
    "varint-64": lambda reader: reader.varint(64),
    "varint-128": lambda reader: reader.varint(128),
}
WHOLE = {"block": p.read_block, "entry": p.decode_entry}


def encodings(data):
    for x in data["cases"]:
        raw, what = unhex(x["bytes"]), x["what"]
        refused = refusal(WHOLE[what], raw) if what in WHOLE else refusal(whole, READERS[what], raw)
        check(f"encoding of {what}: {x['about']}", refused, None if x["valid"] else "encoding")


WIRE = (hashes, operations, messaging, blocks, state, tree, removal, history, numbers, encodings)


# operations and blocks


def operation_case(rule, x):
    net = p.NETWORKS[x["network"]]
    entries = [p.decode_entry(unhex(entry)) for entry in x["state"]]
    entries = {entry.key(net): entry for entry in entries}
    anchor = x["anchor"] and (x["anchor"]["height"], x["anchor"]["time"], x["anchor"]["name_price"])
    context = rules.Context(x["height"], x["time"], x["name_price"], x["byte_price"], lambda _: anchor)

    def judge():
        op = p.decode_operation(unhex(x["operation"]))
        rules.check_times(op, context)
        rules.check_alone(net, op, x["branch"])
        rules.apply(net, entries, op, x["index"], context)

    what = f"{rule}: {x['about']}"
    check(what, refusal(judge), x.get("refused"))
    if "after" in x:
        check(f"{what}: after", [entries[key].encode().hex() for key in sorted(entries)], x["after"])


def verdict(judge, raw):
    try:
        return {"refused": refused} if (refused := refusal(judge, raw)) else {"accepted": True}
    except rules.UpgradeNeeded:
        return {"upgrade_needed": True}
    except rules.Postponed:
        return {"postponed": True}


def block_cases(folder):
    data, forks = (json.loads((folder / name).read_text()) for name in ("chain.json", "forks.json"))
    cases = []
    for path in sorted((folder / "blocks").glob("*.json")):
        file = json.loads(path.read_text())
        cases += [(file["rule"], x) for x in file["cases"]]
    chain = rules.Chain(p.NETWORKS[data["network"]])
    for height, raw in enumerate(data["blocks"] + [None]):
        for rule, x in cases:
            if x["before"] == height:
                wanted = {key: x[key] for key in ("refused", "accepted", "upgrade_needed", "postponed") if key in x}
                chain.clock = x.get("now", data["now"])
                raw_case = unhex(x["block"]) + bytes(x.get("padding", 0))
                check(f"{rule}: {x['about']}", verdict(chain.check, raw_case), wanted)
        for x in forks["cases"]:
            if x["before"] == height:
                fork_case(chain, x, forks["now"])
        if raw:
            chain.clock = data["now"]
            check(f"block {height + 1} of the chain", refusal(chain.connect, unhex(raw)), None)


def fork_case(chain, x, now):
    chain = chain.copy()
    chain.clock = now
    node = rules.Node(chain)
    for number, arrival in enumerate(x["blocks"], 1):
        node.receive(unhex(arrival["block"]))
        check(f"tip after {number} blocks: {x['about']}", node.best.tip().hex(), arrival["tip"])


def signatures(folder):
    good_with = {"low_order_component_A", "low_order_component_R"}
    for case in load(folder / "edges" / "vectors.json"):
        signature(case["key"], case["msg"].encode(), case["sig"], set(case["flags"]) <= good_with)
    for group in load(folder / "wycheproof" / "ed25519_test.json")["testGroups"]:
        for case in group["tests"]:
            signature(group["publicKey"]["pk"], unhex(case["msg"]), case["sig"], case["result"] == "valid")
    for number, case in enumerate(load(folder / "speccheck" / "cases.json")):
        signature(case["pub_key"], unhex(case["message"]), case["signature"], number == 3)
    for case in load(folder / "zip215" / "cases.json"):
        signature(case["public_key"], b"Zcash", case["signature"], False)
    for case in load(folder / "rfc8032" / "cases.json"):
        signature(case["key"], unhex(case["msg"]), case["sig"], True)


def signature(key, message, text, good):
    check(f"signature {text} of {key}", ed25519.verify(unhex(key), message, unhex(text)), good)


def load(path):
    return json.loads(path.read_text())


def all_vectors(testdata):
    folder = testdata / "vectors"
    reserved = p.h(p.NETWORKS["main"], "value", p.reserved_bytes()).hex()
    docs = testdata.parent / "docs"
    page = (docs / "protocol.md").read_text()
    check("the digest of the reserved lists stands in the page", reserved in page)
    for judge in WIRE:
        judge(json.loads((folder / "wire" / f"{judge.__name__}.json").read_text()))
    for path in sorted((folder / "operations").glob("*.json")):
        file = json.loads(path.read_text())
        for x in file["cases"]:
            operation_case(file["rule"], x)
    block_cases(folder)
    signatures(testdata / "ed25519")


# stories


def story(path):
    chain = rules.Chain(p.NETWORKS["dev"])
    net, state, index = chain.net, None, 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        x = json.loads(line)
        if "block" in x:
            raw = unhex(x.pop("block"))
            check(f"line {number}", verdict(chain.connect if "accepted" in x else chain.check, raw), x)
            if "accepted" in x:
                state, index = None, 0
            continue
        parent = chain.headers[-1]
        if state is None:
            state = dict(chain.state)
            rules.remove_ended(net, state, x["time"])
        context = rules.Context(parent.height + 1, x["time"], parent.names, parent.bytes, chain.places.get)

        def judge(context=context, x=x, state=state, index=index):
            op = p.decode_operation(unhex(x["operation"]))
            rules.check_times(op, context)
            rules.check_alone(net, op, p.branch_at(x["time"]))
            rules.apply(net, state, op, index, context)

        found = refusal(judge)
        check(f"line {number}", found or False, x["refused"])
        index += found is None


def main(arguments):
    global first_only
    if arguments[:1] == ["--story"]:
        story(pathlib.Path(arguments[1]))
        finish()
    if arguments[:1] == ["--first"]:
        first_only, arguments = True, arguments[1:]
    all_vectors(pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parents[1])
    finish()


if __name__ == "__main__":
    main(sys.argv[1:])
