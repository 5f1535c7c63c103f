"""Writes vectors.json: every edge case of the two points of an Ed25519 signature, by the classes that CCTV's ed25519 set
names, made here from nothing but the curve. Deterministic: `python3 make.py` writes the same bytes again.

The key A and the point R each go through the 14 encodings of the eight points of small order (six of them not canonical) and
through a point of large order plus each of the eight points of small order. For each pair, a message is looked for that makes
the parts of small order cancel in [S]B = R + [k]A, and one with which they don't; where an encoding is not canonical, the same
again with k computed over the canonical bytes. At last what is wrong with S or is no point at all.
"""

import hashlib
import json
import pathlib
import sys

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "verifier"))
import ed25519 as ed  # noqa: E402

MESSAGES = 64
KEY_SCALAR, NONCE_SCALAR = (int.from_bytes(hashlib.sha512(t).digest(), "little") % ed.L for t in (b"key", b"nonce"))


def small_order_points():
    """The eight points whose order divides 8, as multiples of one of order 8."""
    y = 2
    while True:
        point = ed.decode(y.to_bytes(32, "little"))
        torsion = point and ed.multiply(ed.L, point)
        if torsion and not ed.is_identity(ed.multiply(4, torsion)):
            return [ed.multiply(i, torsion) for i in range(8)]
        y += 1


def encodings(point):
    """All encodings of a point of small order, the canonical one first: y + p where that fits, and both signs of x = 0."""
    canonical = ed.encode(point)
    number = int.from_bytes(canonical, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    signs = [sign] if point[0] % ed.P else [0, 1]
    ys = [y] + ([y + ed.P] if y + ed.P < 2**255 else [])
    return [(y | sign << 255).to_bytes(32, "little") for y in ys for sign in signs]


def candidates(scalar):
    """(scalar, small-order part, encoding, canonical encoding, flags) of each point to try."""
    for torsion in small_order_points():
        part = set() if ed.is_identity(torsion) else {"low_order_component"}
        for data in encodings(torsion):
            flags = part | {"low_order"} | ({"non_canonical"} if data != ed.encode(torsion) else set())
            yield 0, torsion, data, ed.encode(torsion), flags
        data = ed.encode(ed.add(ed.multiply(scalar, ed.BASE), torsion))
        yield scalar, torsion, data, data, part


def pair(a, r):
    """The vectors of one key and one R: with and without a residue of small order, with k as it is and re-encoded."""
    a_scalar, a_torsion, a_data, a_canonical, a_flags = a
    r_scalar, r_torsion, r_data, r_canonical, r_flags = r
    flags = {f + "_A" for f in a_flags} | {f + "_R" for f in r_flags}
    for reencoded in (False, True) if (a_data, r_data) != (a_canonical, r_canonical) else (False,):
        seen = set()
        for number in range(MESSAGES):
            message = b"edge %d" % number
            true_k = ed.challenge(r_data, a_data, message)
            k = ed.challenge(r_canonical, a_canonical, message) if reencoded else true_k
            residue = not ed.is_identity(ed.add(r_torsion, ed.multiply(k % 8, a_torsion)))
            if residue in seen:
                continue
            seen.add(residue)
            s = (r_scalar + k * a_scalar) % ed.L
            extra = {"low_order_residue"} if residue else set()
            extra |= {"reencoded_k"} if reencoded else set()
            yield a_data, r_data + s.to_bytes(32, "little"), message, flags | extra


def others():
    """What is wrong beside the points' edges."""
    key = ed.encode(ed.multiply(KEY_SCALAR, ed.BASE))
    r = ed.encode(ed.multiply(NONCE_SCALAR, ed.BASE))
    message = b"edge"
    s = (NONCE_SCALAR + ed.challenge(r, key, message) * KEY_SCALAR) % ed.L
    number = lambda n: n.to_bytes(32, "little")  # noqa: E731
    not_a_point = next(number(y) for y in range(2, 99) if ed.decode(number(y)) is None)
    yield key, r + number(s), message, set()
    yield key, r + number(s), b"another", {"other_message"}
    yield key, ed.encode(ed.BASE) + number(s), message, {"other_R"}
    yield ed.encode(ed.BASE), r + number(s), message, {"other_A"}
    yield key, r + number((s + 1) % ed.L), message, {"other_S"}
    for times in range(1, 16):
        if s + times * ed.L < 2**256:
            yield key, r + number(s + times * ed.L), message, {"unreduced_S"}
    yield key, r + number(s | 1 << 255), message, {"unreduced_S"}
    yield not_a_point, r + number(s), message, {"undecodable_A"}
    yield key, not_a_point + number(s), message, {"undecodable_R"}


def main():
    rows = [v for a in candidates(KEY_SCALAR) for r in candidates(NONCE_SCALAR) for v in pair(a, r)]
    rows += others()
    lines = [
        json.dumps({"number": n, "key": a.hex(), "sig": s.hex(), "msg": m.decode(), "flags": sorted(f)})
        for n, (a, s, m, f) in enumerate(rows)
    ]
    (HERE / "vectors.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(len(lines), "vectors")


if __name__ == "__main__":
    main()
