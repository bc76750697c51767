"""Stable identities: the same derivation has the same id, on any machine and in any run."""

import xxhash


def stable_id(*parts: str | int) -> str:
    """Return 32 hexadecimal digits that depend on the parts and their order alone.

    Parts are length-prefixed, so ("ab", "c") and ("a", "bc") differ.
    Source: XXH3, 128 bits (xxhash.com); collisions among 10^12 events are below 10^-14.
    """
    digest = xxhash.xxh3_128()
    for part in parts:
        raw = str(part).encode()
        digest.update(len(raw).to_bytes(4, "little"))
        digest.update(raw)
    return digest.hexdigest()
