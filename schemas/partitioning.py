"""Which partition a key goes to, as Kafka's own clients decide it."""

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Return the 32-bit MurmurHash2 of a key, unsigned, with Kafka's seed.

    Source: org.apache.kafka.common.utils.Utils.murmur2.
    """
    length = len(key)
    value = (_SEED ^ length) & _MASK
    whole = length & ~3
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little") * _M & _MASK
        word = (word ^ (word >> 24)) * _M & _MASK
        value = (value * _M & _MASK) ^ word
    if length > whole:
        value = (value ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    value = (value ^ (value >> 13)) * _M & _MASK
    return value ^ (value >> 15)


def partition_of(key: str, partitions: int) -> int:
    """Return the partition, from 0, of a key among `partitions`."""
    return partition_of_bytes(key.encode(), partitions)


def partition_of_bytes(key: bytes, partitions: int) -> int:
    """Return the partition, from 0, of a message key as it stands on the wire."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
