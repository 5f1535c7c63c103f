"""Checks every vector of testdata/wire, testdata/consensus and testdata/ed25519 with the protocol of docs/protocol.md as
protocol.py and rules.py have it, which were written from that page without a look at the Rust code.

    python3 testdata/verifier/verify.py [testdata]
    python3 testdata/verifier/verify.py --story FILE

A story is a chain of the dev network as it grew, a JSON object a line: {"operation": hex, "refused": false, true
or the id of the one rule that it breaks} for what the next block could or could not record, {"block": hex} for that block.

It needs Python 3.10 and argon2-cffi (Debian: python3-argon2), prints what fails and `N passed, N failed`, and ends with 1 if anything
failed."""

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

NOW = 1800000000
RECORDS_EXAMPLE = 600
passed = failed = 0


def check(what, got, wanted=True):
    global passed, failed
    if got == wanted:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}: got {shown(got)}, wanted {shown(wanted)}")


def shown(value):
    return value.hex() if isinstance(value, bytes) else value


def refusal(judge, *arguments):
    """The id of the rule that is broken, or None."""
    try:
        judge(*arguments)
    except p.Refused as refused:
        return str(refused)
    return None


def unhex(text):
    return bytes.fromhex(text)


# testdata/wire


def hashes(data):
    for example in data["examples"]:
        net = p.NETWORKS[example["network"]]
        check(f"tag on {net.name}", p.tag(net, "ops-leaf").hex(), example["tag"])
        check(f"hash on {net.name}", p.h(net, "ops-leaf", b"abc").hex(), example["hash"])


def operations(data):
    net = p.NETWORKS[data["network"]]
    kinds = []
    for example in data["operations"]:
        kind, raw = example["kind"], unhex(example["bytes"])
        op = p.decode_operation(raw)
        kinds.append(op.kind)
        check(f"kind of {kind}", op.kind, kind)
        check(f"id of {kind}", p.operation_id(net, op).hex(), example["id"])
        check(f"subject of {kind}", p.stamp_subject(net, op).hex(), example["stamp_subject"])
        check(f"stamp of {kind}", f"{p.stamp_value(net, op):032x}", example["stamp_value"])
        if kind != "commit":
            message = p.signing_message(net, op)
            check(f"message of {kind}", message.hex(), example["signing_message"])
            check(f"signature of {kind}", op.signature.hex(), example["signature"])
            check(f"signature of {kind} verifies", ed25519.verify(op.signer, message, op.signature))
        for length in range(len(raw)):
            check(f"{kind} cut to {length}", refusal(p.decode_operation, raw[:length]), "encoding")
        check(f"{kind} and a byte", refusal(p.decode_operation, raw + b"\0"), "encoding")
    check("a vector of each kind", kinds, list(p.KINDS.values()))


def messaging(data):
    net, name = p.NETWORKS[data["network"]], data["name"].encode()
    before = None
    for example in data["records"]:
        raw = unhex(example["bytes"])
        reader = p.Reader(raw)
        signed = p.read_signed_messaging(reader)
        reader.end()
        record, what = signed.record, f"messaging record {signed.record.sequence}"
        check(f"{what} alone", record.data.hex(), example["record"])
        check(f"hash of {what}", p.messaging_hash(net, record).hex(), example["hash"])
        check(f"identity of {what}", record.identity.hex(), example["identity"])
        check(f"next of {what}", record.next.hex(), example["next"])
        possession = p.messaging_message(net, "possession", name, record)
        check(f"possession of {what}", possession.hex(), example["possession_message"])
        check(f"possession of {what} verifies", ed25519.verify(record.identity, possession, signed.possession))
        if before:
            key, signature = signed.link
            link = p.messaging_message(net, "link", name, record)
            check(f"link of {what}", link.hex(), example["link_message"])
            check(f"link of {what} verifies", ed25519.verify(key, link, signature))
            check(f"{what} is linked by the one before", key, before.identity)
            check(f"{what} is the announced one", before.next, p.next_key_hash(net, record.identity))
            check(f"{what} follows", record.previous, p.messaging_hash(net, before))
        for length in range(len(raw)):
            check(f"{what} cut to {length}", refusal(whole_messaging, raw[:length]), "encoding")
        before = record


def whole_messaging(raw):
    reader = p.Reader(raw)
    p.read_signed_messaging(reader)
    reader.end()


def blocks(data):
    for example in data["genesis"]:
        net = p.NETWORKS[example["network"]]
        check(f"genesis of {net.name}", p.genesis(net).data.hex(), example["header"])
        check(f"genesis id of {net.name}", p.header_id(net, p.genesis(net)).hex(), example["id"])
    net = p.NETWORKS[data["network"]]
    header, ops = p.read_block(unhex(data["block"]["bytes"]))
    check("block's id", p.header_id(net, header).hex(), data["block"]["id"])
    check("block's value", f"{p.header_value(net, header):032x}", data["block"]["value"])
    raw = [op.data for op in ops]
    check("block's ops root", p.ops_root(net, raw), header.ops_root)
    for example in data["ops_roots"]:
        count = example["operations"]
        check(f"ops root of {count}", p.ops_root(net, raw[:count]).hex(), example["root"])


def state(data):
    net = p.NETWORKS[data["network"]]
    for example in data["entries"]:
        raw = unhex(example["bytes"])
        entry = p.decode_entry(raw)
        what = type(entry).__name__
        check(f"{what} again", entry.encode(), raw)
        check(f"key of {what}", entry.key(net).hex(), example["key"])
        check(f"value of {what}", p.h(net, "value", raw).hex(), example["value_hash"])


def tree(data):
    net = p.NETWORKS[data["network"]]
    leaves = [(p.h(net, "name-key", b"name%d" % i), bytes([i]) * 32) for i in range(8)]
    for example in data["roots"]:
        count = example["keys"]
        check(f"tree of {count}", p.tree_root(net, dict(leaves[:count])).hex(), example["root"])
    root = unhex(data["roots"][-1]["root"])
    for example in data["proofs"]:
        key, proof = unhex(example["key"]), unhex(example["proof"])
        value = example["value_hash"] and unhex(example["value_hash"])
        check(f"proof of {example['key']}", p.verify_tree_proof(net, root, key, value, proof))
        for at in range(len(proof)):
            mutated = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
            check(f"proof changed at {at}", p.verify_tree_proof(net, root, key, value, mutated), False)


def history(data):
    net = p.NETWORKS[data["network"]]
    leaves = [p.range_leaf(net, bytes([i]) * 32, i + 1) for i in range(8)]
    for example in data["roots"]:
        count = example["leaves"]
        check(f"history of {count}", p.history_root(net, leaves[:count]).hex(), example["root"])
    for example in data.get("proofs", []):
        index, root = example["index"], unhex(data["roots"][example["leaves"]]["root"])
        proof, block_id = unhex(example["proof"]), bytes([index]) * 32
        place = lambda proof: p.verify_history_proof(net, root, proof, block_id, index + 1)  # noqa: B023, E731
        check(f"place of {index} in {example['leaves']}", place(proof))
        for at in range(len(proof)):
            mutated = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
            check(f"place of {index} in {example['leaves']} changed at {at}", place(mutated), False)


def numbers(data):
    net = p.NETWORKS[data["network"]]
    for x in data["multipliers"]:
        check(f"multiplier {x}", rules.next_price(x["parent"], x["commits"]), x["next"])
    for x in data["prices"]:
        name, price = x["name"].encode(), x["multiplier"]
        check(f"registration {x}", rules.registration(net, name, price), x["registration"])
        check(f"renewal {x}", rules.renewal(net, name, price), x["renewal"])
        check(f"rescue {x}", rules.rescue(net, price), x["rescue"])
        check(f"records {x}", rules.records_price(net, RECORDS_EXAMPLE, price), x["records_600"])
    for x in data["schedule"]:
        check(f"schedule {x}", rules.next_target(net, x["parent_height"], x["parent_time"]), x["target"])
    for x in data["targets"]:
        check(f"target {x}", p.target_value(x["target"]), int(x["value"]))
        check(f"target's work {x}", p.target_work(x["target"]), int(x["work"]))


WIRE = {f.__name__: f for f in (hashes, operations, messaging, blocks, state, tree, history, numbers)}


# testdata/consensus


def rule(data):
    net, (form, case) = p.NETWORKS[data["network"]], next(iter(data["case"].items()))
    judge = block_judge(net, case) if form == "block" else operation_judge(net, case)
    refused = unhex(case["refused"]) + bytes(case.get("padding", 0))
    check(f"{data['rule']}: the refused", refusal(judge, refused), data["rule"])
    check(f"{data['rule']}: the accepted", refusal(judge, unhex(case["accepted"])), None)


def block_judge(net, case):
    chain = rules.Chain(net)
    for number, raw in enumerate(case["before"], 1):
        check(f"block {number} before", refusal(chain.connect, unhex(raw), NOW), None)
    return lambda raw: chain.check(raw, NOW)


def operation_judge(net, case):
    def judge(raw):
        entries = [p.decode_entry(unhex(entry)) for entry in case["state"]]
        entries = {entry.key(net): entry for entry in entries}
        rules.apply(net, entries, p.decode_operation(raw), case["height"], case["price"])

    return judge


def all_rules(folder):
    """The ids of the table in the page's section 7 are the files that there are."""
    page = (folder.parent / "docs" / "protocol.md").read_text().split("## 7. Rules")[1].split("\n## ")[0]
    ids = sorted(line.split("`")[1] for line in page.splitlines() if line.startswith("| `"))
    files = sorted(path.stem for path in (folder / "consensus").glob("*.json"))
    check("a file for each rule", files, ids)


# testdata/ed25519


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


def story(path):
    """Follows a chain of the dev network, and judges what was offered to it on the way."""
    chain = rules.Chain(p.NETWORKS["dev"])
    for number, line in enumerate(path.read_text().splitlines(), 1):
        event = json.loads(line)
        if "block" in event:
            check(f"line {number}", refusal(chain.connect, unhex(event["block"]), NOW), None)
        else:
            broken, wanted = refusal(chain.judge, unhex(event["operation"])), event["refused"]
            check(f"line {number} ({broken})", broken if isinstance(wanted, str) else broken is not None, wanted)


def main():
    if sys.argv[1:2] == ["--story"]:
        story(pathlib.Path(sys.argv[2]))
    else:
        vectors()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def vectors():
    here = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    digest = p.h(p.NETWORKS["main"], "value", p.reserved_bytes()).hex()
    check("reserved names", digest, "0922edd07a01a97d1e85dff5874fcfb44e6786a8d2b180ee17ec414bc8488f7c")
    for path in sorted((folder / "wire").glob("*.json")):
        WIRE[path.stem](load(path))
    for path in sorted((folder / "consensus").glob("*.json")):
        rule(load(path))
    all_rules(folder)
    signatures(folder / "ed25519")


if __name__ == "__main__":
    sys.exit(main())
