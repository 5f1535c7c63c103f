"""Ed25519 (RFC 8032) verified strictly, in plain integers, for readers and for checking other implementations.

Nothing here is constant-time and nothing here is for secrets.
"""

import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def add(a, b):
    """The sum of two points in extended coordinates (RFC 8032 section 5.1.4)."""
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    m = (y1 - x1) * (y2 - x2) % P
    n = (y1 + x1) * (y2 + x2) % P
    c = 2 * t1 * t2 * D % P
    d = 2 * z1 * z2 % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    """`scalar` times `point`; the scalar is not reduced, so that torsion counts."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def negate(point):
    x, y, z, t = point
    return -x % P, y, z, -t % P


def is_identity(point):
    x, y, z, _ = point
    return x % P == 0 and (y - z) % P == 0


def is_small_order(point):
    """Whether the point's order divides 8."""
    return is_identity(multiply(8, point))


def decode(data):
    """The point of 32 bytes, or None. Lenient where encodings are concerned: y is taken modulo p, and a sign bit on x = 0
    is ignored. Whoever wants the canonical encoding compares `encode(decode(data))` with `data`."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & (2**255 - 1)) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * SQRT_M1 % P
    if v * x * x % P != u:
        return None
    if x & 1 != sign:
        x = -x % P
    return x, y, 1, x * y % P


def encode(point):
    """The canonical 32 bytes of a point."""
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def challenge(r, a, message):
    """k of RFC 8032: over the bytes of R and of the key as they stand."""
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def verify(key, message, signature):
    """Whether the signature is good: S reduced; the key and R points that are not of small order; R exactly the canonical
    encoding of [S]B - [k]A."""
    if len(key) != 32 or len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    a_point, r_point = decode(key), decode(r)
    if s >= L or a_point is None or r_point is None:
        return False
    if is_small_order(a_point) or is_small_order(r_point):
        return False
    k = challenge(r, key, message)
    return encode(add(multiply(s, BASE), multiply(k, negate(a_point)))) == r
