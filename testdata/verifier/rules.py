"""What operations do, which blocks are valid, the schedule: docs/protocol.md sections 6 to 8, from that page alone."""

from dataclasses import replace

import ed25519
import protocol as p
from protocol import need

U64 = 2**64 - 1
PRICE_MIN, PRICE_MAX = 1024, 2**31


# 6. Prices


def scaled(amount, price):
    return min(max(1, -(-amount * price // 1024)), U64)


def registration(net, name, price):
    return scaled(net.base * {3: 256, 4: 64, 5: 8}.get(len(name), 1), price)


def records_price(net, size, price):
    return scaled(net.base * (1 + -(-size // 512)) // 16, price)


def renewal(net, name, price):
    return max(1, registration(net, name, price) // 16)


def rescue(net, price):
    return scaled(net.base // 64, price)


def cost(net, op, price):
    if op.kind == "commit":
        return scaled(net.base, price)
    if op.kind in ("register", "update"):
        return records_price(net, len(op.records), price)
    if op.kind == "publish":
        return records_price(net, len(op.messaging.data) if op.messaging else 0, price)
    if op.kind == "renew":
        return renewal(net, op.name, price)
    if op.kind in ("transfer", "accept"):
        return records_price(net, 0, price)
    return rescue(net, price)


def next_price(price, commits):
    change = price * (min(commits, 40) - 20)
    step = abs(change) // 160
    return min(max(price + (step if change >= 0 else -step), PRICE_MIN), PRICE_MAX)


# 6. Operations


def check_stamp(net, op, price):
    if op.kind != "commit":
        need(ed25519.verify(op.signer, p.signing_message(net, op), op.signature), "signature")
    if op.messaging:
        check_messaging(net, op.name, op.messaging)
    need(op.work >= cost(net, op, price), "underpaid")
    need(p.stamp_value(net, op) <= (2**128 - 1) // op.work, "stamp-work")


def check_messaging(net, name, signed):
    record, message = signed.record, lambda domain: p.messaging_message(net, domain, name, signed.record)
    need(ed25519.verify(record.identity, message("possession"), signed.possession), "possession")
    if signed.link:
        key, signature = signed.link
        need(ed25519.verify(key, message("link"), signature), "link-signature")


def apply(net, state, op, height, price):
    """Applies one operation to the state (entries by key), or says which rule it breaks."""
    check_stamp(net, op, price)
    if op.kind == "commit":
        entry = p.Commitment(op.commitment, height, op.work, price)
        need(entry.key(net) not in state, "commitment-open")
        state[entry.key(net)] = entry
    elif op.kind == "register":
        register(net, state, op, height)
    else:
        change(net, state, op, height)


def register(net, state, op, height):
    need(op.name not in p.reserved_names(), "name-reserved")
    key = p.h(net, "name-key", op.name)
    old = state.get(key)
    need(old is None or old.standing(net, height) == "released", "name-taken")
    need(op.sequence == (0 if old is None else old.sequence + 1), "sequence")
    commitment_key = p.h(net, "commit-key", p.commitment_of(net, op.name, op.signer, op.salt))
    commitment = state.get(commitment_key)
    need(commitment is not None, "commitment-unknown")
    need(commitment.height + net.min_age <= height, "commitment-young")
    need(commitment.work >= registration(net, op.name, commitment.price), "commitment-underpaid")
    del state[commitment_key]
    last = old.messaging_sequence if old else 0
    numbers = (op.sequence, height, height, height + net.lease)
    state[key] = p.Name(op.name, op.signer, op.recovery, *numbers, 0, None, op.records, None, last)


def change(net, state, op, height):
    key = p.h(net, "name-key", op.name)
    old = state.get(key)
    standing = old.standing(net, height) if old else "released"
    need(standing != "released", "name-unregistered")
    need(standing != "revoked", "name-revoked")
    need(standing != "grace" or op.kind in ("renew", "cancel", "recover", "revoke"), "name-in-grace")
    need(op.sequence == old.sequence + 1, "sequence")
    new = replace(old, sequence=op.sequence, updated=height)
    keys = {old.owner} | ({old.recovery} if old.recovery else set())
    if op.kind in ("update", "transfer", "publish"):
        need(op.signer == old.owner, "not-owner")
    if op.kind in ("renew", "cancel", "revoke"):
        need(op.signer in keys, "not-keyholder")
    if op.kind == "update":
        new.records = op.records
    elif op.kind == "renew":
        need(height >= old.expires - net.lease // 4, "renew-early")
        new.expires += net.lease
    elif op.kind == "transfer":
        need(old.transfer is None, "transfer-pending")
        new.transfer = (op.to, height)
    elif op.kind == "accept":
        need(old.transfer is not None, "transfer-missing")
        need(op.signer == old.transfer[0], "not-recipient")
        need(height >= old.transfer[1] + net.transfer_delay, "transfer-young")
        new = replace(new, owner=op.signer, recovery=op.recovery, transfer=None, records=b"", messaging=None)
    elif op.kind == "cancel":
        need(old.transfer is not None, "transfer-missing")
        new.transfer = None
    elif op.kind == "recover":
        need(old.recovery is not None and op.signer == old.recovery, "not-recovery")
        new = replace(new, owner=op.owner, recovery=op.recovery, transfer=None, messaging=None)
    elif op.kind == "revoke":
        new = replace(new, revoked=1, transfer=None, records=b"", messaging=None)
    elif op.kind == "publish":
        publish(net, old, new, op.messaging, height)
    state[key] = new


def publish(net, old, new, signed, height):
    new.messaging = None
    if signed is None:
        return
    record, standing = signed.record, old.messaging and old.messaging[0]
    need(record.sequence == old.messaging_sequence + 1, "messaging-sequence")
    need(record.previous == (p.messaging_hash(net, standing) if standing else bytes(32)), "messaging-previous")
    if signed.link:
        need(standing is not None and signed.link[0] == standing.identity, "link-identity")
        need(standing.next == p.next_key_hash(net, record.identity), "link-announced")
    linked = int(signed.link is not None)
    if standing and standing.identity == record.identity:
        linked = old.messaging[1]
    new.messaging, new.messaging_sequence = (record, linked, height), record.sequence


def remove_expired(net, state, height):
    """Removes the commitments that were recorded at exactly `height - max age - 1`."""
    for key, entry in list(state.items()):
        if isinstance(entry, p.Commitment) and entry.height == height - net.max_age - 1:
            del state[key]


# 7. Blocks


class Chain:
    """A branch from the genesis block on, with the state after its last block."""

    def __init__(self, net):
        self.net, self.headers, self.leaves, self.state = net, [], [], {}
        self.append(p.genesis(net))

    def append(self, header):
        self.headers.append(header)
        work = p.target_work(header.target)
        self.leaves.append(p.range_leaf(self.net, p.header_id(self.net, header), work))

    def anchors(self):
        """The ids of the blocks that a stamp in the next block may be anchored to."""
        return {p.header_id(self.net, x) for x in self.headers[-p.ANCHOR_DEPTH :]}

    def check(self, data, now):
        """The header and the state after the block, or Refused."""
        net, parent = self.net, self.headers[-1]
        header, operations = p.read_block(data)
        need(header.version == 1, "header-version")
        need(p.header_value(net, header) <= p.target_value(header.target), "header-work")
        need(header.height == parent.height + 1, "header-height")
        times = sorted(x.time for x in self.headers[-11:])
        need(header.previous == p.header_id(net, parent), "(its parent is not the tip)")
        need(header.time > times[len(times) // 2], "header-time")
        need(header.time <= now + p.MAX_AHEAD, "(postponed)")
        need(header.target == next_target(net, parent.height, parent.time), "header-target")
        need(header.history_root == p.history_root(net, self.leaves), "history-root")
        need(header.ops_root == p.ops_root(net, [op.data for op in operations]), "ops-root")
        state = dict(self.state)
        remove_expired(net, state, header.height)
        anchors = self.anchors()
        for op in operations:
            need(op.anchor in anchors, "stamp-anchor")
            apply(net, state, op, header.height, parent.price)
        values = {key: p.h(net, "value", entry.encode()) for key, entry in state.items()}
        need(header.state_root == p.tree_root(net, values), "state-root")
        commits = sum(op.kind == "commit" for op in operations)
        need(header.price == next_price(parent.price, commits), "price")
        return header, state

    def connect(self, data, now):
        header, self.state = self.check(data, now)
        self.append(header)

    def judge(self, data):
        """Whether the next block could record an operation after no other: Refused if not."""
        op, tip = p.decode_operation(data), self.headers[-1]
        state = dict(self.state)
        remove_expired(self.net, state, tip.height + 1)
        need(op.anchor in self.anchors(), "stamp-anchor")
        apply(self.net, state, op, tip.height + 1, tip.price)


# 8. Schedule


def compact(target):
    """The target rounded down to a compact one."""
    shift = max(target.bit_length() - 24, 0)
    return shift << 24 | target >> shift


def next_target(net, height, time):
    x = (time - net.genesis_time - height * net.interval) * 65536 // net.half_life
    s, f = x >> 16, x & 0xFFFF
    factor = 65536 + ((195766423245049 * f + 971821376 * f**2 + 5127 * f**3 + 2**47) >> 48)
    shift = (net.genesis_target >> 24) + s - 16
    # Beyond these there is nothing but the two ends, whatever the rest is.
    if shift > 200:
        return net.easiest
    mantissa = (net.genesis_target & 0xFFFFFF) * factor
    target = mantissa << shift if shift >= 0 else mantissa >> min(-shift, 200)
    if target < p.target_value(p.HARDEST):
        return p.HARDEST
    return compact(min(target, p.target_value(net.easiest)))
