"""The protocol of docs/protocol.md, sections 1 to 5 and 10, in its order. Slow, plain, and meant to be read."""

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
    easiest: int
    base: int
    fixed: bool = False
    interval: int = 120
    commit_blocks: int = 10
    commit_time: int = 600
    settle_blocks: int = 30
    settle_time: int = 3600
    transfer_blocks: int = 10
    transfer_time: int = 86400
    genesis_time: int = 1795046400
    entropy: bytes = bytes(32)
    half_life: int = 2700
    header_memory: int = 1024
    stamp_memory: int = 256
    lease: int = 31536000
    grace: int = 2592000


NETWORKS = {
    n.name: n
    for n in (
        Network("main", b"NCm1", 0x57800000, 524288),
        Network("test", b"NCt1", 0x5D800000, 8192),
        Network("dev", b"NCd1", 0x68800000, 64, True, 1, 1, 1, 1, 1, 1, 2),
    )
}
HARDEST = 0x00800000
LARGEST = 0x68FFFFFF
BRANCHES = ((2, 0),)
MAX_BLOCK = 262144
MAX_COMMITS = 40
COMMIT_LIFE = 86400
U32, U64, U128 = 2**32 - 1, 2**64 - 1, 2**128 - 1


def branch_at(time):
    return max(number for number, start in BRANCHES if start <= time)


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

    def varint(self, bits):
        value, shift = 0, 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            need(shift < bits, "encoding")
        need(byte != 0 or shift == 7, "encoding")
        need(value < 1 << bits, "encoding")
        return value

    def signed(self):
        value = self.varint(64)
        return -(value + 1) // 2 if value & 1 else value // 2


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def signed_varint(value):
    return varint(2 * value if value >= 0 else -2 * value - 1)


def difference(a, b):
    """`a - b` modulo 2^64, from -2^63 to 2^63 - 1."""
    return (a - b + 2**63) % 2**64 - 2**63


def number_bytes(*pairs):
    return b"".join(value.to_bytes(size, "big") for value, size in pairs)


# 1. Targets


def target_value(compact):
    return (compact & 0xFFFFFF) << (compact >> 24)


def target_work(compact):
    return 2**128 // (target_value(compact) + 1)


def down(value):
    """The largest target not over a number."""
    shift = value.bit_length() - 24
    if shift < 0:
        return HARDEST
    if shift > 104:
        return LARGEST
    return shift << 24 | value >> shift


def target_at(net, late):
    if net.fixed or late >= 0:
        return net.easiest
    x = max(late * 65536 // net.half_life, -200 * 65536)
    s, f = x // 65536, x % 65536
    factor = 65536 + ((195766423245049 * f + 971821376 * f**2 + 5127 * f**3 + 2**47) >> 48)
    mantissa, shift = net.easiest & 0xFFFFFF, (net.easiest >> 24) + s - 16
    number = mantissa * factor
    return down(number << shift if shift >= 0 else number >> -shift)


def target(net, time, due):
    return target_at(net, time - due)


def work_late(net, late):
    return target_work(target_at(net, late))


def next_due(net, due, time):
    return min(max(due, time) + net.interval, U64)


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
    return frozenset(reserved_bytes().split(b"\n")) - {b""}


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


def messaging_message(net, domain, name, title, record):
    return tag(net, domain) + encode_name(name) + title + record.data


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
    reference: bytes = b""
    valid_until: int = 0
    sequence: int = 0
    signer: bytes = b""
    signature: bytes = b""
    recovery: bytes | None = None
    salt: bytes = b""
    records: bytes = b""
    expires: int = 0
    to: bytes = b""
    transfer: bytes = b""
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
        op.name, op.reference = read_name(reader), reader.take(32)
        op.valid_until, op.signer = reader.number(8), reader.take(32)
        read_fields(reader, op)
        op.signed = reader.at - start
        op.signature = reader.take(64)
    op.stamped = reader.at - start
    op.anchor, op.work, op.nonce = reader.take(32), reader.number(8), reader.number(8)
    need(op.work >= 1, "encoding")
    op.data = reader.data[start : reader.at]
    return op


def read_fields(reader, op):
    if op.kind in ("update", "transfer", "publish"):
        op.sequence = reader.number(4)
    if op.kind in ("accept", "cancel"):
        op.transfer = reader.take(32)
    if op.kind == "recover":
        op.owner = reader.take(32)
    if op.kind in ("register", "accept", "recover"):
        op.recovery = reader.optional(lambda: reader.take(32))
    if op.kind == "register":
        op.salt = reader.take(32)
    if op.kind in ("register", "update"):
        op.records = read_records(reader)
    if op.kind == "renew":
        op.expires = reader.number(8)
    if op.kind == "transfer":
        op.to = reader.take(32)
    if op.kind == "publish":
        op.messaging = reader.optional(lambda: read_signed_messaging(reader))


def decode_operation(data):
    reader = Reader(data)
    op = read_operation(reader)
    reader.end()
    return op


def operation_id(net, op):
    return h(net, "op-id", op.data)


def signing_message(net, branch, op):
    genesis_id = header_id(net, genesis(net))
    return tag(net, "sign-op") + genesis_id + branch.to_bytes(4, "big") + op.data[: op.signed]


def stamp_subject(net, op):
    return h(net, "stamp-op", op.data[: op.stamped])


def stamp_value(net, op):
    claimed = number_bytes((op.work, 8), (op.nonce, 8))
    password = tag(net, "work-stamp") + stamp_subject(net, op) + op.anchor + claimed
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
    due: int
    names: int
    bytes: int
    nonce: int


def read_header(reader):
    start = reader.at
    n, b = reader.number, reader.take
    fields = [n(4), n(4), b(32), b(32), b(32), b(32), n(8), n(8), n(4), n(4), n(8)]
    return Header(reader.data[start : reader.at], *fields)


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


def ops_root(net, operations):
    if not operations:
        return h(net, "ops-empty")
    if len(operations) == 1:
        return h(net, "ops-leaf", operations[0])
    k = 1 << (len(operations) - 1).bit_length() - 1
    return h(net, "ops-node", ops_root(net, operations[:k]), ops_root(net, operations[k:]))


@dataclass
class Node:
    """A node of the history range: (time, due) of its first and its last header."""

    hash: bytes
    work: int
    first: tuple
    last: tuple

    def encode(self):
        data = self.hash + varint(self.work) + varint(self.first[0]) + varint(self.last[0] - self.first[0])
        return data + signed_varint(difference(self.first[1], self.first[0])) + signed_varint(
            difference(self.last[1], self.last[0])
        )


def read_node(reader):
    digest, work, first, span = reader.take(32), reader.varint(128), reader.varint(64), reader.varint(64)
    need(first + span <= U64, "encoding")
    leads = reader.signed(), reader.signed()
    last = first + span
    return Node(digest, work, (first, (first + leads[0]) % 2**64), (last, (last + leads[1]) % 2**64))


def leaf_of(net, block_id, time, due):
    work = target_work(target(net, time, due))
    lead = signed_varint(difference(due, time))
    return Node(h(net, "hist-leaf", block_id, varint(work), varint(time), lead), work, (time, due), (time, due))


def join(net, left, right, count=None):
    digest = h(net, "hist-node", left.encode(), right.encode())
    return Node(digest, min(left.work + right.work, U128), left.first, right.last)


def is_sound(net, left, right):
    due = next_due(net, left.last[1], left.last[0])
    return left.last[0] <= right.first[0] and right.first[1] == due


def least_work(net, count, lead):
    run, far = max(1, net.half_life // net.interval), 200 * net.half_life
    total = i = 0
    while i < count:
        k = min(run, count - i)
        least = lead - net.interval * (i + k - 1)
        if least <= 0:
            return min(total + (count - i) * work_late(net, 0), U128)
        if least > far:
            k = min(count - i, k + run * ((least - far) // (net.interval * run)))
        total += k * work_late(net, -least)
        i += k
        if total >= U128:
            break
    return min(total, U128)


def is_plausible(net, node, count):
    if node.work > min(count * work_late(net, node.first[0] - node.last[1]), U128):
        return False
    if node.work < least_work(net, count, node.last[1] - node.last[0]):
        return False
    alone = node.first == node.last and node.work == work_late(net, node.first[0] - node.first[1])
    return count != 1 or alone


def range_peaks(net, leaves):
    """The peaks over the leaves, the largest first."""
    peaks = []
    for count, leaf in enumerate(leaves, 1):
        node = leaf
        while count % 2 == 0:
            node = join(net, peaks.pop(), node)
            count //= 2
        peaks.append(node)
    return peaks


def bag_peaks(net, count, peaks, join=join):
    """The root over the peaks, the largest first."""
    if not peaks:
        return h(net, "hist-root", count.to_bytes(8, "big"))
    sizes = peak_sizes(count)
    node, size = peaks[-1], sizes[-1]
    for peak, more in zip(reversed(peaks[:-1]), reversed(sizes[:-1])):
        size += more
        node = join(net, peak, node, size)
    return h(net, "hist-root", count.to_bytes(8, "big"), node.encode())


def peak_sizes(count):
    return [1 << bit for bit in reversed(range(64)) if count >> bit & 1]


def history_root(net, leaves):
    return bag_peaks(net, len(leaves), range_peaks(net, leaves))


def checked_join(net, left, right, count):
    """The node over two neighbours, of `count` leaves: what can't be on a valid chain proves nothing."""
    need(is_sound(net, left, right), "unsound")
    node = join(net, left, right)
    need(is_plausible(net, node, count), "implausible")
    return node


def verify_place(net, root, proof, block_id, height, time, due):
    """Whether the proof places the header under the root (section 10)."""
    try:
        return prove_place(net, proof, height, leaf_of(net, block_id, time, due)) == root
    except Refused:
        return False


def prove_place(net, proof, height, node):
    """The root that the proof leads to."""
    reader = Reader(proof)
    index, leaves, work_before = reader.number(8), reader.number(8), reader.varint(128)
    need(index < leaves <= 1 << 32, "encoding")
    sizes, place, local = peak_sizes(leaves), 0, index
    while local >= sizes[place]:
        local -= sizes[place]
        place += 1
    siblings = [read_node(reader) for _ in range(sizes[place].bit_length() - 1)]
    others = [read_node(reader) for _ in sizes[1:]]
    reader.end()
    need(index == height, "height")
    before = sum(peak.work for peak in others[:place])
    for level, sibling in enumerate(siblings):
        need(is_plausible(net, sibling, 1 << level), "implausible")
        if local >> level & 1:
            before += sibling.work
            node = checked_join(net, sibling, node, 2 << level)
        else:
            node = checked_join(net, node, sibling, 2 << level)
    need(min(before, U128) == work_before, "work")
    peaks = others[:place] + [node] + others[place:]
    for peak, size in zip(peaks, sizes):
        need(is_plausible(net, peak, size), "implausible")
    return bag_peaks(net, leaves, peaks, checked_join)


@functools.lru_cache
def genesis(net):
    data = number_bytes((branch_at(net.genesis_time), 4), (0, 4)) + net.entropy + ops_root(net, [])
    data += bytes(32) + history_root(net, [])
    data += number_bytes((net.genesis_time, 8), (net.genesis_time, 8), (1024, 4), (1024, 4), (0, 8))
    return read_header(Reader(data))


# 5. State


@dataclass
class Name:
    name: bytes
    owner: bytes
    recovery: bytes | None
    title: bytes
    sequence: int
    registered: tuple  # height and time
    commit: tuple  # height and index
    updated: tuple
    expires: int
    revoked: int
    rescued: tuple  # by the owner, by the recovery key
    transfer: tuple | None  # to, subject, height, time
    records: bytes
    messaging: tuple | None  # the record, linked, height, time
    messaging_sequence: int

    def key(self, net):
        return h(net, "name-key", self.name)

    def encode(self):
        at = lambda place: number_bytes((place[0], 4), (place[1], 8))  # noqa: E731
        data = b"\1" + encode_name(self.name) + self.owner + encode_optional(self.recovery) + self.title
        data += number_bytes((self.sequence, 4)) + at(self.registered)
        data += number_bytes((self.commit[0], 4), (self.commit[1], 4)) + at(self.updated)
        data += number_bytes((self.expires, 8), (self.revoked, 1), (self.rescued[0], 8), (self.rescued[1], 8))
        data += encode_optional(self.transfer and self.transfer[0] + self.transfer[1] + at(self.transfer[2:]))
        data += encode_records(self.records)
        m = self.messaging
        data += encode_optional(m and m[0].data + bytes([m[1]]) + at(m[2:]))
        return data + number_bytes((self.messaging_sequence, 4))

    def end(self, net):
        return min(self.expires + net.grace, U64)

    def is_over(self, net, time):
        return self.end(net) <= time

    def status(self, net, height, time):
        if self.is_over(net, time):
            return "released"
        if self.revoked:
            return "revoked"
        if time >= self.expires:
            return "grace"
        at_height, at_time = self.registered
        if height < min(at_height + net.settle_blocks, U32) or time < min(at_time + net.settle_time, U64):
            return "settling"
        return "active"


@dataclass
class Commitment:
    id: bytes
    commitment: bytes
    height: int
    index: int
    time: int
    work: int
    price: int
    spent: int

    def key(self, net):
        return h(net, "commit-key", self.id)

    def encode(self):
        numbers = ((self.height, 4), (self.index, 4), (self.time, 8), (self.work, 8), (self.price, 4), (self.spent, 1))
        return b"\2" + self.id + self.commitment + number_bytes(*numbers)

    def end(self, net):
        return min(self.time + COMMIT_LIFE, U64)

    def is_over(self, net, time):
        return self.end(net) < time


def decode_entry(data):
    reader = Reader(data)
    kind = reader.number(1)
    at = lambda: (reader.number(4), reader.number(8))  # noqa: E731
    flag = lambda: one_of(reader.number(1), (0, 1))  # noqa: E731
    if kind == 1:
        entry = Name(
            read_name(reader),
            reader.take(32),
            reader.optional(lambda: reader.take(32)),
            reader.take(32),
            reader.number(4),
            at(),
            (reader.number(4), reader.number(4)),
            at(),
            reader.number(8),
            flag(),
            (reader.number(8), reader.number(8)),
            reader.optional(lambda: (reader.take(32), reader.take(32)) + at()),
            read_records(reader),
            reader.optional(lambda: (read_messaging(reader), flag()) + at()),
            reader.number(4),
        )
    else:
        need(kind == 2, "encoding")
        n = reader.number
        entry = Commitment(reader.take(32), reader.take(32), n(4), n(4), n(8), n(8), n(4), flag())
    reader.end()
    return entry


def one_of(value, allowed):
    need(value in allowed, "encoding")
    return value


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
