"""Prices, what operations do, which blocks are valid: docs/protocol.md sections 6 and 9.1."""

from copy import copy
from dataclasses import replace

import ed25519
import protocol as p
from protocol import need

ANCHOR_BLOCKS, ANCHOR_TIME, ANCHOR_PRICE_BLOCKS = 720, 86400, 60
VALIDITY = 86400
RESCUE_PERIOD = 86400
MAX_SHARED = 229376
MAX_REMOVED = 512
PRICE_MIN, PRICE_MAX = 1024, 2**31
COMMITS_AIMED_AT, BYTES_AIMED_AT = 20, 65536
SILENT_STEPS = 160
MAX_AHEAD = 300


# 6.1 Prices


def scaled(amount, price):
    return min(max(1, -(-amount * price // 1024)), p.U64)


def factor(name):
    return {3: 256, 4: 64, 5: 8}.get(len(name), 1)


def registration(net, name, price):
    return scaled(net.base * factor(name), price)


def records_price(net, size, price):
    return scaled(net.base * (1 + -(-size // 512)) // 32, price)


def renewal(net, name):
    return max(1, net.base * factor(name) // 16)


def rescue(net):
    return max(1, net.base // 64)


def rescue_role(op, entry):
    """0 the owner's, 1 the recovery key's."""
    return 0 if op.kind != "recover" and op.signer == entry.owner else 1


def is_fixed_rescue(op, entry, time):
    if op.kind not in ("cancel", "recover", "revoke"):
        return False
    last = entry.rescued[rescue_role(op, entry)]
    return last == 0 or time >= min(last + RESCUE_PERIOD, p.U64)


def price_of(net, op, entry, time, names, size_price):
    if op.kind == "commit":
        return scaled(net.base, names)
    if op.kind == "renew":
        return renewal(net, op.name)
    if entry and is_fixed_rescue(op, entry, time):
        return rescue(net)
    size = len(op.records) if op.kind in ("register", "update") else 0
    if op.kind == "publish" and op.messaging:
        size = len(op.messaging.data)
    return records_price(net, size, size_price)


def clamp(price):
    return min(max(price, PRICE_MIN), PRICE_MAX)


def next_price(net, price, count, aim, seconds):
    if net.fixed:
        return PRICE_MIN
    if count >= aim:
        price += price * (count - aim) // (8 * aim)
    else:
        price -= price * (aim - count) * min(seconds, net.interval) // (8 * aim * net.interval)
    price = clamp(price)
    for _ in range(min(seconds // net.interval, SILENT_STEPS) - 1):
        price = clamp(price - price // 8)
    return price


# 6.3 An operation by itself


def reserved(branch):
    return p.reserved_names()


def check_alone(net, op, branch):
    if op.kind != "commit":
        need(op.kind != "register" or op.name not in reserved(branch), "name-reserved")
        need(ed25519.verify(op.signer, p.signing_message(net, branch, op), op.signature), "signature")
        if op.messaging:
            check_messaging(net, op)
    need(p.stamp_value(net, op) <= (2**128 - 1) // op.work, "stamp-work")


def check_messaging(net, op):
    signed = op.messaging
    message = lambda domain: p.messaging_message(net, domain, op.name, op.reference, signed.record)  # noqa: E731
    need(ed25519.verify(signed.record.identity, message("possession"), signed.possession), "possession")
    if signed.link:
        key, signature = signed.link
        need(ed25519.verify(key, message("link"), signature), "link-signature")


# 6.4 Applying an operation


class Context:
    """The block that records an operation: `anchor` gives (height, time, name price) of an ancestor by its id."""

    def __init__(self, height, time, names, size_price, anchor):
        self.height, self.time, self.names, self.bytes, self.anchor = height, time, names, size_price, anchor


def check_times(op, context):
    anchor = context.anchor(op.anchor)
    need(anchor is not None, "stamp-anchor")
    blocks = context.height - anchor[0]
    need(1 <= blocks <= ANCHOR_BLOCKS, "stamp-anchor")
    need(blocks == 1 or context.time - anchor[1] <= ANCHOR_TIME, "stamp-anchor")
    if op.kind != "commit":
        need(context.time <= op.valid_until <= min(context.time + VALIDITY, p.U64), "validity")
    return anchor


def apply(net, state, op, index, context):
    """Applies one operation to the state (entries by key). Nothing changes if it breaks a rule. Says whether it
    counts for nothing: a Renew, or a rescue at the fixed price."""
    anchor, now = check_times(op, context), (context.height, context.time)
    if op.kind == "commit":
        need(op.work >= price_of(net, op, None, context.time, context.names, context.bytes), "underpaid")
        price = anchor[2] if context.height - anchor[0] <= ANCHOR_PRICE_BLOCKS else context.names
        entry = p.Commitment(p.operation_id(net, op), op.commitment, now[0], index, now[1], op.work, price, 0)
        need(entry.key(net) not in state, "commit-recorded")
        state[entry.key(net)] = entry
        return False
    key = p.h(net, "name-key", op.name)
    entry = state.get(key)
    if entry and entry.status(net, *now) == "released":
        entry = None
    if op.kind == "register":
        register(net, state, op, key, entry, context)
        return False
    state[key], free = change(net, op, entry, context)
    return free


def register(net, state, op, key, entry, context):
    now = context.height, context.time
    commit = state.get(p.h(net, "commit-key", op.reference))
    need(commit and not commit.is_over(net, now[1]), "commitment-unknown")
    need(commit.commitment == p.commitment_of(net, op.name, op.signer, op.salt), "commitment-unknown")
    need(not commit.spent, "commitment-spent")
    need(now[0] >= min(commit.height + net.commit_blocks, p.U32), "commitment-young")
    need(now[1] >= min(commit.time + net.commit_time, p.U64), "commitment-young")
    need(commit.work >= registration(net, op.name, commit.price), "commitment-underpaid")
    place = commit.height, commit.index
    if entry:
        need(entry.status(net, *now) == "settling", "name-taken")
        need(place < entry.commit, "name-settling")
    need(op.work >= price_of(net, op, None, now[1], context.names, context.bytes), "underpaid")
    state[commit.key(net)] = replace(commit, spent=1)
    state[key] = p.Name(
        name=op.name,
        owner=op.signer,
        recovery=op.recovery,
        title=p.stamp_subject(net, op),
        sequence=0,
        registered=now,
        commit=place,
        updated=now,
        expires=min(now[1] + net.lease, p.U64),
        revoked=0,
        rescued=(0, 0),
        transfer=None,
        records=op.records,
        messaging=None,
        messaging_sequence=0,
    )


GRACE_KINDS = ("renew", "cancel", "recover", "revoke")
COUNTED_KINDS = ("update", "transfer", "publish")


def change(net, op, entry, context):
    now = context.height, context.time
    need(entry, "name-unregistered")
    status = entry.status(net, *now)
    need(status != "settling", "name-settling")
    need(status != "revoked" or op.kind == "recover", "name-revoked")
    need(status != "grace" or op.kind in GRACE_KINDS, "name-in-grace")
    need(op.reference == entry.title, "title")
    if op.kind in ("accept", "cancel"):
        need(entry.transfer, "transfer-missing")
        need(op.transfer == entry.transfer[1], "transfer-other")
    check_signer(op, entry)
    if op.kind in COUNTED_KINDS:
        need(entry.sequence < p.U32 and op.sequence == entry.sequence + 1, "sequence")
    need(op.work >= price_of(net, op, entry, now[1], context.names, context.bytes), "underpaid")
    after = replace(entry, updated=now)
    if op.kind in COUNTED_KINDS:
        after.sequence = op.sequence
    free = op.kind == "renew" or is_fixed_rescue(op, entry, now[1])
    if is_fixed_rescue(op, entry, now[1]):
        times = list(entry.rescued)
        times[rescue_role(op, entry)] = now[1]
        after.rescued = tuple(times)
    EFFECTS[op.kind](net, op, entry, after, now)
    return after, free


def check_signer(op, entry):
    is_owner, is_recovery = op.signer == entry.owner, op.signer == entry.recovery
    if op.kind in ("update", "transfer", "publish"):
        need(is_owner, "not-owner")
    if op.kind in ("renew", "cancel", "revoke"):
        need(is_owner or is_recovery, "not-keyholder")
    if op.kind == "recover":
        need(is_recovery, "not-recovery")
    if op.kind == "accept":
        need(op.signer == entry.transfer[0], "not-recipient")


def update(net, op, entry, after, now):
    after.records = op.records


def renew(net, op, entry, after, now):
    need(op.expires == entry.expires, "renew-expires")
    need(now[1] >= entry.expires - net.lease // 4, "renew-early")
    after.expires = min(entry.expires + net.lease, p.U64)


def transfer(net, op, entry, after, now):
    need(entry.transfer is None, "transfer-pending")
    after.transfer = (op.to, p.stamp_subject(net, op)) + now


def take_title(net, op, after, owner):
    after.owner, after.recovery, after.title = owner, op.recovery, p.stamp_subject(net, op)
    after.sequence, after.transfer = 0, None
    after.messaging, after.messaging_sequence = None, 0


def accept(net, op, entry, after, now):
    _, _, height, time = entry.transfer
    need(now[0] >= min(height + net.transfer_blocks, p.U32), "transfer-young")
    need(now[1] >= min(time + net.transfer_time, p.U64), "transfer-young")
    take_title(net, op, after, op.signer)
    after.records = b""


def cancel(net, op, entry, after, now):
    after.transfer = None


def recover(net, op, entry, after, now):
    take_title(net, op, after, op.owner)
    after.revoked = 0


def revoke(net, op, entry, after, now):
    after.revoked, after.transfer, after.records, after.messaging = 1, None, b"", None


def publish(net, op, entry, after, now):
    if op.messaging is None:
        after.messaging = None
        return
    record, link = op.messaging.record, op.messaging.link
    before = entry.messaging[0] if entry.messaging else None
    is_next = entry.messaging_sequence < p.U32 and record.sequence == entry.messaging_sequence + 1
    need(is_next, "messaging-sequence")
    previous = p.messaging_hash(net, before) if before else bytes(32)
    need(record.previous == previous, "messaging-previous")
    if link:
        need(before and link[0] == before.identity, "link-identity")
        need(before.next == p.next_key_hash(net, record.identity), "link-announced")
    linked = 1 if link else 0
    if before and before.identity == record.identity:
        linked = entry.messaging[1]
    after.messaging, after.messaging_sequence = (record, linked) + now, record.sequence


EFFECTS = {
    "update": update,
    "renew": renew,
    "transfer": transfer,
    "accept": accept,
    "cancel": cancel,
    "recover": recover,
    "revoke": revoke,
    "publish": publish,
}


# 6.3 Blocks


def remove_ended(net, state, time):
    for kind in (p.Name, p.Commitment):
        over = [(e.end(net), key) for key, e in state.items() if isinstance(e, kind) and e.is_over(net, time)]
        for _, key in sorted(over)[:MAX_REMOVED]:
            del state[key]


def state_root(net, state):
    return p.tree_root(net, {key: p.h(net, "value", entry.encode()) for key, entry in state.items()})


class UpgradeNeeded(Exception):
    pass


class Postponed(Exception):
    """Ahead of the clock (section 9.4)."""


class Chain:
    """A chain of valid blocks from the genesis block on. Without a clock nothing is ahead of it."""

    def __init__(self, net, clock=p.U64):
        self.net, self.clock, self.state, self.headers, self.leaves, self.places = net, clock, {}, [], [], {}
        self.add(p.genesis(net))

    def copy(self):
        other = copy(self)
        other.headers, other.leaves, other.places = self.headers[:], self.leaves[:], dict(self.places)
        return other

    def tip(self):
        return p.header_id(self.net, self.headers[-1])

    def add(self, header):
        block_id = p.header_id(self.net, header)
        self.headers.append(header)
        self.leaves.append(p.leaf_of(self.net, block_id, header.time, header.due))
        self.places[block_id] = header.height, header.time, header.names

    def connect(self, raw):
        self.state, header = self.check(raw)
        self.add(header)

    def check_header(self, header):
        net, parent = self.net, self.headers[-1]
        need(p.header_value(net, header) <= p.target_value(p.target(net, header.time, header.due)), "header-work")
        if header.version > max(number for number, _ in p.BRANCHES):
            raise UpgradeNeeded
        need(header.version == p.branch_at(header.time), "header-version")
        need(header.height == parent.height + 1, "header-height")
        need(header.time >= parent.time, "header-time")
        need(header.due == p.next_due(net, parent.due, parent.time), "header-due")
        need(header.history_root == p.history_root(net, self.leaves), "history-root")
        if header.time > min(self.clock + MAX_AHEAD, p.U64):
            raise Postponed

    def check(self, raw):
        """The state after a block that follows, and its header."""
        net, parent = self.net, self.headers[-1]
        header, operations = p.read_block(raw)
        need(sum(op.kind == "commit" for op in operations) <= p.MAX_COMMITS, "block-commits")
        self.check_header(header)
        need(header.ops_root == p.ops_root(net, [op.data for op in operations]), "ops-root")
        for op in operations:
            check_alone(net, op, header.version)
        state = dict(self.state)
        remove_ended(net, state, header.time)
        context = Context(header.height, header.time, parent.names, parent.bytes, self.places.get)
        commits = priced = shared = 0
        for index, op in enumerate(operations):
            free = apply(net, state, op, index, context)
            shared += 0 if free else len(op.data)
            need(shared <= MAX_SHARED, "block-share")
            commits += op.kind == "commit"
            priced += 0 if free or op.kind == "commit" else len(op.data)
        seconds = header.time - parent.time
        need(header.names == next_price(net, parent.names, commits, COMMITS_AIMED_AT, seconds), "price")
        need(header.bytes == next_price(net, parent.bytes, priced, BYTES_AIMED_AT, seconds), "price")
        need(header.state_root == state_root(net, state), "state-root")
        return state, header


# 9.1 Fork choice


def is_preferred(own, other):
    """Whether a node leaves the tip of a chain for that of another."""
    margin = min(own.leaves[-1].work, other.leaves[-1].work) // 2
    return chain_work(other) > chain_work(own) + margin


def chain_work(chain):
    return sum(leaf.work for leaf in chain.leaves)


class Node:
    """What a node knows: the chain up to each block, and which it follows."""

    def __init__(self, chain):
        self.best, self.chains = chain, {chain.tip(): chain}

    def receive(self, raw):
        """Takes a block. One that is known, whose parent is not, or that breaks a rule changes nothing."""
        parent = self.chains.get(p.read_block(raw)[0].previous)
        if parent is None:
            return
        chain = parent.copy()
        try:
            chain.connect(raw)
        except p.Refused:
            return
        self.chains.setdefault(chain.tip(), chain)
        if is_preferred(self.best, chain):
            self.best = chain
