"""Keys go where Kafka's own clients send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.partitioning import murmur2, partition_of

# From Apache Kafka: org.apache.kafka.common.utils.UtilsTest.testMurmur2, as signed integers.
VECTORS = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@pytest.mark.parametrize(("key", "expected"), VECTORS.items())
def test_the_hash_is_kafkas(key: str, expected: int) -> None:
    assert murmur2(key.encode()) == expected % 2**32


@given(key=st.text(), partitions=st.integers(1, 1000))
def test_the_partition_exists(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


def test_the_sign_is_cut_off_as_kafka_does() -> None:
    assert partition_of("21", 2**31) == -973932308 & 0x7FFFFFFF
