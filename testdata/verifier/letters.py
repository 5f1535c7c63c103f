"""Reads what `testdata/messaging/own` holds, from `docs/messaging.md`, RFC 7748, RFC 8439, RFC 9180, FIPS 203 and the drafts of X-Wing
alone: name proofs, a bundle, letters. Slow, not constant-time, not for secrets.

    python3 testdata/verifier/letters.py
"""

import hashlib
import hmac
import pathlib
import sys

import ed25519
from protocol import NETWORKS, Reader, decode_entry, h, read_header, read_name, tag, verify_tree_proof

OWN = pathlib.Path(__file__).resolve().parents[1] / "messaging" / "own"
NET = NETWORKS["dev"]
MADE = 1800000000
DAY = 86400

# X25519 (RFC 7748 section 5)

P = 2**255 - 19


def x25519(secret, public=(9).to_bytes(32, "little")):
    k = int.from_bytes(secret, "little") & (2**254 - 8) | 2**254
    x1 = int.from_bytes(public, "little") % 2**255 % P
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a, c * b, a * a, b * b
        x3, z3 = pow(da + cb, 2, P), x1 * pow(da - cb, 2, P) % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


# ML-KEM-768 (FIPS 203), K = 3

Q = 3329
ZETAS = [pow(17, int(f"{i:07b}"[::-1], 2), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * int(f"{i:07b}"[::-1], 2) + 1, Q) for i in range(128)]


def ntt(f):
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = ZETAS[i] * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        length //= 2
    return f


def inverse_ntt(f):
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, ZETAS[i] * (f[j + length] - t) % Q
            i -= 1
        length *= 2
    return [x * 3303 % Q for x in f]


def product(a, b):
    out = []
    for i, gamma in enumerate(GAMMAS):
        a0, a1, b0, b1 = a[2 * i], a[2 * i + 1], b[2 * i], b[2 * i + 1]
        out += [(a0 * b0 + a1 * b1 * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def total(polynomials):
    return [sum(values) % Q for values in zip(*polynomials)]


def encode_bits(values, width):
    return sum(value << width * i for i, value in enumerate(values)).to_bytes(32 * width, "little")


def decode_bits(data, width):
    number = int.from_bytes(data, "little")
    return [number >> width * i & (1 << width) - 1 for i in range(256)]


def compress(values, width):
    return [((value << width + 1) + Q) // (2 * Q) % (1 << width) for value in values]


def decompress(values, width):
    return [(2 * value * Q + (1 << width)) >> width + 1 for value in values]


def uniform(seed):
    stream = hashlib.shake_128(seed).digest(2000)
    triples = zip(*[iter(stream)] * 3)
    numbers = (n for a, b, c in triples for n in (a + 256 * (b % 16), b // 16 + 16 * c))
    return [n for n in numbers if n < Q][:256]


def noise(seed, number):
    bits = decode_bits(hashlib.shake_256(seed + bytes([number])).digest(128), 4)
    return [((b & 1) + (b >> 1 & 1) - (b >> 2 & 1) - (b >> 3)) % Q for b in bits]


def matrix(rho):
    return [[uniform(rho + bytes([j, i])) for j in range(3)] for i in range(3)]


def kem_keys(d):
    """The secret in the number-theoretic domain, and the public key."""
    seed = hashlib.sha3_512(d + b"\3").digest()
    rho, sigma = seed[:32], seed[32:]
    s, e = [[ntt(noise(sigma, start + i)) for i in range(3)] for start in (0, 3)]
    rows = [total([product(a, x) for a, x in zip(row, s)] + [e[i]]) for i, row in enumerate(matrix(rho))]
    return s, b"".join(encode_bits(row, 12) for row in rows) + rho


def kem_encrypt(public, message, seed):
    t, a = [decode_bits(public[384 * i : 384 * (i + 1)], 12) for i in range(3)], matrix(public[1152:])
    y = [ntt(noise(seed, i)) for i in range(3)]
    u = [total([inverse_ntt(total(product(a[j][i], y[j]) for j in range(3))), noise(seed, 3 + i)]) for i in range(3)]
    v = total([inverse_ntt(total(map(product, t, y))), noise(seed, 6), decompress(decode_bits(message, 1), 1)])
    return b"".join(encode_bits(compress(row, 10), 10) for row in u) + encode_bits(compress(v, 4), 4)


def kem_open(d, z, sealed):
    s, public = kem_keys(d)
    u = [decompress(decode_bits(sealed[320 * i : 320 * (i + 1)], 10), 10) for i in range(3)]
    v = decompress(decode_bits(sealed[960:], 4), 4)
    noisy = inverse_ntt(total(product(x, ntt(row)) for x, row in zip(s, u)))
    message = encode_bits(compress([(a - b) % Q for a, b in zip(v, noisy)], 1), 1)
    both = hashlib.sha3_512(message + hashlib.sha3_256(public).digest()).digest()
    if kem_encrypt(public, message, both[32:]) != sealed:
        return hashlib.shake_256(z + sealed).digest(32)
    return both[:32]


# X-Wing (draft-connolly-cfrg-xwing-kem)


def wing_parts(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    return expanded[:32], expanded[32:64], expanded[64:]


def wing_public(seed):
    d, _, x = wing_parts(seed)
    return kem_keys(d)[1] + x25519(x)


def wing_open(seed, enc):
    d, z, x = wing_parts(seed)
    mine = kem_open(d, z, enc[:1088])
    return hashlib.sha3_256(mine + x25519(x, enc[1088:]) + enc[1088:] + x25519(x) + rb"\.//^" + b"\\").digest()


# ChaCha20 and Poly1305 (RFC 8439)


def chacha_block(key, counter, nonce):
    words = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    words += [int.from_bytes((key + counter.to_bytes(4, "little") + nonce)[i : i + 4], "little") for i in range(0, 48, 4)]
    x = list(words)

    def quarter(a, b, c, d):
        for one, two, three, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[one] = (x[one] + x[two]) % 2**32
            x[three] ^= x[one]
            x[three] = (x[three] << turn | x[three] >> 32 - turn) % 2**32

    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
    return b"".join(((a + b) % 2**32).to_bytes(4, "little") for a, b in zip(x, words))


def chacha_open(key, nonce, aad, sealed):
    """The text, or None."""
    text, mac = sealed[:-16], sealed[-16:]
    once = chacha_block(key, 0, nonce)
    r, s = (int.from_bytes(once[i : i + 16], "little") for i in (0, 16))
    r &= 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    pad = lambda data: data + bytes(-len(data) % 16)  # noqa: E731
    data, sum_ = pad(aad) + pad(text) + len(aad).to_bytes(8, "little") + len(text).to_bytes(8, "little"), 0
    for i in range(0, len(data), 16):
        sum_ = (sum_ + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    if ((sum_ + s) % 2**128).to_bytes(16, "little") != mac:
        return None
    blocks = (chacha_block(key, 1 + i, nonce) for i in range(-(-len(text) // 64)))
    return bytes(a ^ b for a, b in zip(text, b"".join(blocks)))


# HPKE (RFC 9180), mode base, HKDF-SHA256, ChaCha20Poly1305


def extract(suite, salt, label, data):
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + data, "sha256")


def expand(suite, key, label, info, size):
    info, out, last = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, b"", b""
    while len(out) < size:
        last = hmac.digest(key, last + info + bytes([len(out) // 32 + 1]), "sha256")
        out += last
    return out[:size]


def hpke_open(kem, shared, info, aad, sealed):
    suite = b"HPKE" + kem.to_bytes(2, "big") + b"\0\1\0\3"
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", b"")
    key, nonce = expand(suite, secret, b"key", context, 32), expand(suite, secret, b"base_nonce", context, 12)
    return chacha_open(key, nonce, aad, sealed)


def x25519_shared(secret, enc):
    suite = b"KEM\0\x20"
    key = extract(suite, b"", b"eae_prk", x25519(secret, enc))
    return expand(suite, key, b"shared_secret", enc + x25519(secret), 32)


# docs/messaging.md, sections 2 to 4


def name_proof(data, anchor, name):
    """The name's entry, None if it is proven to have none."""
    reader = Reader(data)
    header = read_header(reader)
    entry = reader.optional(lambda: reader.take(reader.number(2)))
    assert reader.optional(lambda: None) is None
    assert header.data == anchor
    key, value = h(NET, "name-key", name), entry and h(NET, "value", entry)
    assert verify_tree_proof(NET, header.state_root, key, value, data[reader.at :])
    if entry is None:
        return None
    found = decode_entry(entry)
    assert found.name == name and found.status(NET, header.height, header.time) == "active"
    return found.messaging[0]


def record_keys(record):
    """The X25519 key and the bundle's hash of a record."""
    return record.data[102:134], record.data[134:166]


def bundle(data, name, record):
    """The key of last resort, the one-time prekeys, the devices' keys."""
    reader = Reader(data)
    assert reader.number(1) == 1 and read_name(reader) == name
    assert reader.number(4) == record.sequence and reader.take(32) == record.identity
    created, expires = reader.number(8), reader.number(8)
    assert created <= MADE < expires <= created + 30 * DAY
    last = reader.take(1216)
    once = [reader.take(1216) for _ in range(reader.number(1))]
    devices = [(reader.number(1), reader.take(reader.number(1)), reader.take(1216)) for _ in range(reader.number(1))]
    signed = data[: reader.at]
    assert ed25519.verify(record.identity, tag(NET, "m:sign-bun") + signed, reader.take(64))
    reader.end()
    assert h(NET, "m:bundle", data) == record_keys(record)[1]
    return last, once, [key for _, _, key in devices]


def letter(envelope, secret, name, identity, sender_record):
    """The sender's name and the text."""
    version, kind, size = envelope[:3]
    assert version == 1 and len(envelope) == (2048, 4096, 16384, 65536)[size]
    assert envelope[3:5] == h(NET, "m:zone", name)[:2]
    wing = {1: False, 2: True}[kind]
    enc, sealed = envelope[5 : 1125 if wing else 37], envelope[1125 if wing else 37 :]
    shared = wing_open(secret, enc) if wing else x25519_shared(secret, enc)
    public = wing_public(secret) if wing else x25519(secret)
    plain = hpke_open(0x647A if wing else 0x20, shared, tag(NET, "m:envelope"), envelope[:5], sealed)
    assert plain is not None
    reader = Reader(plain)
    sender, key, sequence = read_name(reader), reader.take(32), reader.number(4)
    assert (read_name(reader), reader.take(32)) == (name, identity)
    number, created, expires = reader.take(16), reader.number(8), reader.number(8)
    text = reader.take(reader.number(2))
    signed = plain[: reader.at]
    assert ed25519.verify(key, tag(NET, "m:sign-let") + envelope[:5] + public + enc + signed, reader.take(64))
    assert not any(plain[reader.at :])
    assert created <= MADE + DAY < expires <= created + 30 * DAY and len(number) == 16
    assert (key, sequence) == (sender_record.identity, sender_record.sequence)
    return sender, text


def main():
    read = lambda file: (OWN / file).read_bytes()  # noqa: E731
    seed = lambda what: b"\2" + bytes([what]) * 31  # noqa: E731
    header = read("header.bin")
    assert name_proof(read("nobody.proof"), header, b"nobody") is None
    alice, bob = (name_proof(read(f"{name.decode()}.proof"), header, name) for name in (b"alice", b"bob"))
    assert record_keys(bob)[0] == x25519(seed(4))
    keys = bundle(read("bob.bundle"), b"bob", bob)
    assert keys == (wing_public(seed(5)), [wing_public(seed(6))], [wing_public(seed(7))])
    for file, what, expected in (
        ("x25519.ncm", 4, b"Sealed to X25519 alone."),
        ("x-wing.ncm", 5, b"Sealed to X-Wing."),
        ("one-time.ncm", 6, b"x" * 3000),
    ):
        assert letter(read(file), seed(what), b"bob", bob.identity, alice) == (b"alice", expected), file
        changed = bytearray(read(file))
        changed[1500] ^= 1
        try:
            letter(bytes(changed), seed(what), b"bob", bob.identity, alice)
        except AssertionError:
            continue
        sys.exit(f"{file} was changed and opened")
    print("3 name proofs, 1 bundle, 3 letters: read")


if __name__ == "__main__":
    main()
