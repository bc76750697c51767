"""How partitions are dealt out to the workers of a Faust app."""

from collections import Counter

import faust
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from streams.faust.transport import CopartitionedAssignor, broker, credentials, spread
from workers.settings import KafkaSettings

COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 12), min_size=1)


Group = tuple[dict[str, int], dict[str, list[str]], frozenset[str]]


@st.composite
def groups(draw: st.DrawFn) -> Group:
    counts = draw(COUNTS)
    names = draw(st.lists(st.text("xyz", min_size=1), min_size=1, max_size=5, unique=True))
    members = {name: draw(st.lists(st.sampled_from(sorted(counts)), unique=True)) for name in names}
    return counts, members, draw(st.frozensets(st.sampled_from(sorted(counts))))


@given(groups())
def test_every_partition_that_someone_reads_goes_to_exactly_one(group: Group) -> None:
    counts, members, whole = group
    dealt = Counter(
        (topic, partition)
        for topics in spread(counts, members, whole).values()
        for topic, partitions in topics.items()
        for partition in partitions
    )
    read = {topic for topics in members.values() for topic in topics}
    assert dealt == Counter((t, p) for t in read for p in range(counts[t]))


@given(st.integers(1, 12), st.lists(st.text("xyz", min_size=1), min_size=1, unique=True))
def test_topics_with_equal_counts_are_cut_alike_and_evenly(count: int, names: list[str]) -> None:
    members = {name: ["left", "right"] for name in names}
    dealt = spread({"left": count, "right": count}, members, frozenset())
    assert all(topics["left"] == topics["right"] for topics in dealt.values())
    sizes = [len(topics["left"]) for topics in dealt.values()]
    assert max(sizes) - min(sizes) <= 1


@given(groups())
def test_nobody_shares_a_whole_topic_or_gets_one_that_it_does_not_read(group: Group) -> None:
    counts, members, whole = group
    dealt = spread(counts, members, whole)
    for member, topics in dealt.items():
        assert set(topics) <= set(members[member])
    for topic in whole:
        assert sum(topic in topics for topics in dealt.values()) <= 1


class _Cluster:
    """A cluster as an assignor sees it."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {"observations": {0, 1, 2, 3}, "drifts": {0, 1, 2, 3}}.get(topic)


def test_the_assignor_speaks_the_group_protocol() -> None:
    assignor = CopartitionedAssignor(frozenset())
    members = {name: assignor.metadata(["observations", "drifts", "absent"]) for name in "ab"}
    dealt = assignor.assign(_Cluster(), members)
    assert dealt["a"].assignment == [("absent", []), ("drifts", [0, 1]), ("observations", [0, 1])]
    assert dealt["b"].assignment == [("absent", []), ("drifts", [2, 3]), ("observations", [2, 3])]


def test_servers_and_logins_are_written_as_faust_reads_them() -> None:
    kafka = KafkaSettings(bootstrap="one:9092, two:9093")
    assert broker(kafka) == "kafka://one:9092;kafka://two:9093"
    assert credentials(kafka) is None
    login = KafkaSettings(
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="u",
        sasl_password=SecretStr("p"),
    )
    made = credentials(login)
    assert isinstance(made, faust.SASLCredentials)
    assert (made.protocol.value, made.username, made.password) == ("SASL_SSL", "u", "p")
