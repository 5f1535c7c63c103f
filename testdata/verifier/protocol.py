"""The protocol of docs/protocol.md, from that page alone: sections 1 to 8 in its order. Slow, plain, and meant to be read."""

import functools
import hashlib
import pathlib
from dataclasses import dataclass

from argon2.low_level import Type, hash_secret_raw

RESERVED = pathlib.Path(__file__).resolve().parents[2] / "docs" / "reserved"


class Refused(Exception):
    """A broken rule, by its id."""


def need(condition, rule):
    if not condition:
        raise Refused(rule)


# 1. Conventions


@dataclass(frozen=True)
class Network:
    name: str
    magic: bytes
    genesis_target: int
    easiest: int
    interval: int
    base: int
    min_age: int
    transfer_delay: int
    genesis_time: int = 1795046400
    half_life: int = 21600
    header_memory: int = 1024
    stamp_memory: int = 256
    max_age: int = 720
    lease: int = 262800
    grace: int = 21600


NETWORKS = {
    n.name: n
    for n in (
        Network("main", b"NCm1", 0x57800000, 0x5D800000, 120, 524288, 10, 720),
        Network("test", b"NCt1", 0x5D800000, 0x61800000, 120, 8192, 10, 720),
        Network("dev", b"NCd1", 0x68800000, 0x68800000, 0, 64, 1, 2),
    )
}
HARDEST = 0x00800000
ANCHOR_DEPTH = 720
MAX_BLOCK = 262144
MAX_AHEAD = 600


def tag(net, domain):
    return domain.encode().ljust(12, b"\0") + net.magic


def h(net, domain, *parts):
    return hashlib.blake2b(tag(net, domain) + b"".join(parts), digest_size=32).digest()


@functools.lru_cache(maxsize=10000)
def work_value(net, memory, password):
    raw = hash_secret_raw(password, tag(net, "namechain"), 1, memory, 1, 16, Type.ID, version=0x13)
    return int.from_bytes(raw, "big")


class Reader:
    """Takes fields from bytes; whatever doesn't fit breaks the rule `encoding`."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "encoding")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def optional(self, read):
        flag = self.number(1)
        need(flag in (0, 1), "encoding")
        return read() if flag else None

    def end(self):
        need(self.at == len(self.data), "encoding")


def encode_optional(value):
    return b"\0" if value is None else b"\1" + value


# 2. Names and records

ALPHABET = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
FORBIDDEN_TYPES = {0, 6, 41, 46, 47, 48, 50, 51} | set(range(128, 256))


def read_name(reader):
    size = reader.number(1)
    need(3 <= size <= 63, "encoding")
    name = reader.take(size)
    need(set(name) <= ALPHABET, "encoding")
    need(not name.startswith(b"-") and not name.endswith(b"-"), "encoding")
    need(name[2:4] != b"--" or name.startswith(b"xn--"), "encoding")
    return name


def encode_name(name):
    return bytes([len(name)]) + name


def reserved_bytes():
    return b"".join((RESERVED / f"{part}.txt").read_bytes() for part in ("tlds", "special-use", "collisions"))


@functools.lru_cache(maxsize=1)
def reserved_names():
    lines = (line.strip() for line in reserved_bytes().decode().splitlines())
    return frozenset(line.encode() for line in lines if line and not line.startswith("#"))


def read_records(reader):
    """The records, as the bytes after their length; checked for form."""
    size = reader.number(2)
    need(size <= 4096, "encoding")
    data = reader.take(size)
    inner, before, before_ttl = Reader(data), None, None
    while inner.at < len(data):
        key, ttl = read_record(inner)
        if before is not None:
            need(before < key, "encoding")
            need(before[:2] != key[:2] or before_ttl == ttl, "encoding")
        before, before_ttl = key, ttl
    return data


def read_record(reader):
    owner = b""
    while True:
        size = reader.number(1)
        need(size <= 63, "encoding")
        label = reader.take(size)
        need(not any(0x41 <= c <= 0x5A for c in label), "encoding")
        owner += bytes([size]) + label
        need(len(owner) <= 177, "encoding")
        if size == 0:
            break
    rtype, ttl = reader.number(2), reader.number(4)
    need(rtype not in FORBIDDEN_TYPES and ttl <= 2147483647, "encoding")
    return (owner, rtype, reader.take(reader.number(2))), ttl


def encode_records(records):
    return len(records).to_bytes(2, "big") + records


# 2. Messaging records


@dataclass
class Messaging:
    data: bytes
    sequence: int
    previous: bytes
    identity: bytes
    next: bytes


@dataclass
class SignedMessaging:
    data: bytes
    record: Messaging
    possession: bytes
    link: tuple | None


def read_messaging(reader):
    start = reader.at
    need(reader.number(1) == 1 and reader.number(1) == 0, "encoding")
    fields = [reader.number(4), reader.take(32), reader.take(32), reader.take(32)]
    reader.take(64)
    count = reader.number(1)
    need(count <= 3, "encoding")
    for _ in range(count):
        size = reader.number(1)
        need(1 <= size <= 128, "encoding")
        need(all(0x21 <= c <= 0x7E for c in reader.take(size)), "encoding")
    need(reader.number(1) in (0, 1), "encoding")
    return Messaging(reader.data[start : reader.at], *fields)


def read_signed_messaging(reader):
    start = reader.at
    record, possession = read_messaging(reader), reader.take(64)
    link = reader.optional(lambda: (reader.take(32), reader.take(64)))
    return SignedMessaging(reader.data[start : reader.at], record, possession, link)


def messaging_hash(net, record):
    return h(net, "messaging", record.data)


def next_key_hash(net, identity):
    return h(net, "next-key", identity)


def messaging_message(net, domain, name, record):
    return tag(net, domain) + encode_name(name) + record.data


# 3. Operations

KINDS = {
    1: "commit",
    2: "register",
    3: "update",
    4: "renew",
    5: "transfer",
    6: "accept",
    7: "cancel",
    8: "recover",
    9: "revoke",
    10: "publish",
}


@dataclass
class Operation:
    kind: str
    data: bytes = b""
    stamped: int = 0  # where the stamp begins
    signed: int = 0  # where the signature begins
    anchor: bytes = b""
    work: int = 0
    nonce: int = 0
    commitment: bytes = b""
    name: bytes = b""
    sequence: int = 0
    signer: bytes = b""
    signature: bytes = b""
    recovery: bytes | None = None
    salt: bytes = b""
    records: bytes = b""
    to: bytes = b""
    owner: bytes = b""
    messaging: SignedMessaging | None = None


def read_operation(reader):
    start = reader.at
    kind = KINDS.get(reader.number(1))
    need(kind, "encoding")
    op = Operation(kind)
    if kind == "commit":
        op.commitment = reader.take(32)
    else:
        op.name, op.sequence, op.signer = read_name(reader), reader.number(4), reader.take(32)
        if kind == "recover":
            op.owner = reader.take(32)
        if kind in ("register", "accept", "recover"):
            op.recovery = reader.optional(lambda: reader.take(32))
        if kind == "register":
            op.salt = reader.take(32)
        if kind in ("register", "update"):
            op.records = read_records(reader)
        if kind == "transfer":
            op.to = reader.take(32)
        if kind == "publish":
            op.messaging = reader.optional(lambda: read_signed_messaging(reader))
        op.signed = reader.at - start
        op.signature = reader.take(64)
    op.stamped = reader.at - start
    op.anchor, op.work, op.nonce = reader.take(32), reader.number(8), reader.number(8)
    need(op.work >= 1, "encoding")
    op.data = reader.data[start : reader.at]
    return op


def decode_operation(data):
    reader = Reader(data)
    op = read_operation(reader)
    reader.end()
    return op


def operation_id(net, op):
    return h(net, "op-id", op.data)


def signing_message(net, op):
    return tag(net, "sign-op") + op.data[: op.signed]


def stamp_subject(net, op):
    return h(net, "stamp-op", op.data[: op.stamped])


def stamp_value(net, op):
    password = tag(net, "work-stamp") + stamp_subject(net, op) + op.anchor + op.nonce.to_bytes(8, "big")
    return work_value(net, net.stamp_memory, password)


def commitment_of(net, name, owner, salt):
    return h(net, "commitment", encode_name(name), owner, salt)


# 4. Blocks


@dataclass
class Header:
    data: bytes
    version: int
    height: int
    previous: bytes
    ops_root: bytes
    state_root: bytes
    history_root: bytes
    time: int
    target: int
    price: int
    nonce: int


def read_header(reader):
    start = reader.at
    n, b = reader.number, reader.take
    fields = [n(4), n(4), b(32), b(32), b(32), b(32), n(8), n(4), n(4), n(8)]
    header = Header(reader.data[start : reader.at], *fields)
    need(header.target >> 24 <= 104 and header.target >> 23 & 1, "encoding")
    return header


def read_block(data):
    need(len(data) <= MAX_BLOCK, "block-size")
    reader = Reader(data)
    header = read_header(reader)
    operations = [read_operation(reader) for _ in range(reader.number(4))]
    reader.end()
    return header, operations


def header_id(net, header):
    return h(net, "header-id", header.data)


def header_value(net, header):
    return work_value(net, net.header_memory, tag(net, "work-header") + header.data)


def target_value(compact):
    return (compact & 0xFFFFFF) << (compact >> 24)


def target_work(compact):
    return 2**128 // (target_value(compact) + 1)


def ops_root(net, operations):
    if not operations:
        return h(net, "ops-empty")
    if len(operations) == 1:
        return h(net, "ops-leaf", operations[0])
    k = 1 << (len(operations) - 1).bit_length() - 1
    return h(net, "ops-node", ops_root(net, operations[:k]), ops_root(net, operations[k:]))


def range_node(net, left, right):
    return h(net, "hist-node", encode_range(left), encode_range(right)), left[1] + right[1]


def encode_range(node):
    return node[0] + node[1].to_bytes(16, "big")


def range_leaf(net, block_id, work):
    return h(net, "hist-leaf", block_id, work.to_bytes(16, "big")), work


def range_peaks(net, leaves):
    """The peaks over the leaves, the largest first."""
    peaks = []
    for count, leaf in enumerate(leaves, 1):
        node = leaf
        while count % 2 == 0:
            node = range_node(net, peaks.pop(), node)
            count //= 2
        peaks.append(node)
    return peaks


def bag_peaks(net, count, peaks):
    if not peaks:
        return h(net, "hist-root", count.to_bytes(8, "big"))
    node = peaks[-1]
    for peak in reversed(peaks[:-1]):
        node = range_node(net, peak, node)
    return h(net, "hist-root", count.to_bytes(8, "big"), encode_range(node))


def history_root(net, leaves):
    return bag_peaks(net, len(leaves), range_peaks(net, leaves))


def verify_history_proof(net, root, proof, block_id, work):
    """Whether the proof places the header of this id and work under the root."""
    try:
        reader = Reader(proof)
        index, leaves = reader.number(8), reader.number(8)
        need(index < leaves, "encoding")
        read = lambda: (reader.take(32), reader.number(16))  # noqa: E731
        sizes = [1 << bit for bit in reversed(range(64)) if leaves >> bit & 1]
        place = 0
        while index >= sizes[place]:
            index -= sizes[place]
            place += 1
        node = range_leaf(net, block_id, work)
        for level in range(sizes[place].bit_length() - 1):
            sibling = read()
            node = range_node(net, sibling, node) if index >> level & 1 else range_node(net, node, sibling)
        others = [read() for _ in sizes[1:]]
        reader.end()
    except Refused:
        return False
    return bag_peaks(net, leaves, others[:place] + [node] + others[place:]) == root


def genesis(net):
    n = lambda value, size: value.to_bytes(size, "big")  # noqa: E731
    data = n(1, 4) + n(0, 4) + bytes(32) + ops_root(net, []) + bytes(32) + history_root(net, [])
    data += n(net.genesis_time, 8) + n(net.genesis_target, 4) + n(1024, 4) + n(0, 8)
    return read_header(Reader(data))


# 5. State


@dataclass
class Name:
    name: bytes
    owner: bytes
    recovery: bytes | None
    sequence: int
    registered: int
    updated: int
    expires: int
    revoked: int
    transfer: tuple | None
    records: bytes
    messaging: tuple | None  # the record, linked, the height
    messaging_sequence: int

    def key(self, net):
        return h(net, "name-key", self.name)

    def encode(self):
        n = lambda value: value.to_bytes(4, "big")  # noqa: E731
        data = b"\1" + encode_name(self.name) + self.owner + encode_optional(self.recovery) + n(self.sequence)
        data += n(self.registered) + n(self.updated) + n(self.expires) + bytes([self.revoked])
        data += encode_optional(self.transfer and self.transfer[0] + n(self.transfer[1])) + encode_records(self.records)
        standing = self.messaging and self.messaging[0].data + bytes([self.messaging[1]]) + n(self.messaging[2])
        return data + encode_optional(standing) + n(self.messaging_sequence)

    def standing(self, net, height):
        if self.revoked:
            return "revoked" if height < self.expires else "released"
        if height < self.expires:
            return "active"
        return "grace" if height < self.expires + net.grace else "released"


@dataclass
class Commitment:
    commitment: bytes
    height: int
    work: int
    price: int

    def key(self, net):
        return h(net, "commit-key", self.commitment)

    def encode(self):
        parts = ((self.height, 4), (self.work, 8), (self.price, 4))
        return b"\2" + self.commitment + b"".join(value.to_bytes(size, "big") for value, size in parts)


def decode_entry(data):
    reader = Reader(data)
    kind = reader.number(1)
    if kind == 1:
        name, owner, recovery = read_name(reader), reader.take(32), reader.optional(lambda: reader.take(32))
        numbers = [reader.number(4) for _ in range(4)]
        revoked = reader.number(1)
        need(revoked in (0, 1), "encoding")
        transfer = reader.optional(lambda: (reader.take(32), reader.number(4)))
        records = read_records(reader)
        messaging = reader.optional(lambda: (read_messaging(reader), reader.number(1), reader.number(4)))
        need(messaging is None or messaging[1] in (0, 1), "encoding")
        entry = Name(name, owner, recovery, *numbers, revoked, transfer, records, messaging, reader.number(4))
    else:
        need(kind == 2, "encoding")
        entry = Commitment(reader.take(32), reader.number(4), reader.number(8), reader.number(4))
    reader.end()
    return entry


def bit_of(key, bit):
    return key[bit // 8] >> 7 - bit % 8 & 1


def tree_root(net, leaves):
    """The root over a map from keys to value hashes."""
    if not leaves:
        return bytes(32)
    return tree_node(net, sorted(leaves.items()))


def tree_node(net, items):
    if len(items) == 1:
        return h(net, "tree-leaf", *items[0])
    # Sorted, so the first and the last differ earliest.
    differing = int.from_bytes(items[0][0], "big") ^ int.from_bytes(items[-1][0], "big")
    bit = 256 - differing.bit_length()
    split = next(i for i, (key, _) in enumerate(items) if bit_of(key, bit))
    return h(net, "tree-node", bytes([bit]), tree_node(net, items[:split]), tree_node(net, items[split:]))


def verify_tree_proof(net, root, key, value, proof):
    """Whether the proof shows this value hash under the key, or, if it is None, that nothing stands there."""
    try:
        reader = Reader(proof)
        terminal = reader.number(1)
        need(terminal <= 2, "encoding")
        leaf_key, leaf_value = (reader.take(32), reader.take(32)) if terminal == 2 else (key, value)
        steps = [(reader.number(1), reader.take(32)) for _ in range(reader.number(1))]
        reader.end()
    except Refused:
        return False
    bits = [bit for bit, _ in steps]
    if any(a <= b for a, b in zip(bits, bits[1:])) or (terminal == 1) != (value is not None):
        return False
    if terminal == 0:
        return not steps and root == bytes(32)
    if terminal == 2 and (leaf_key == key or any(bit_of(leaf_key, bit) != bit_of(key, bit) for bit in bits)):
        return False
    node = h(net, "tree-leaf", leaf_key, leaf_value)
    for bit, sibling in steps:
        pair = (sibling, node) if bit_of(key, bit) else (node, sibling)
        node = h(net, "tree-node", bytes([bit]), *pair)
    return node == root
