"""What the doctor makes of facts."""

from dataclasses import replace

import pytest

from schemas.catalogue import Catalogue
from schemas.decisions import EnsembleMember, EnsembleSelected
from schemas.graphs import Stage
from schemas.registrations import ApplicationRegistered, NodeReported, ServiceRegistered
from streams.doctor import (
    broker,
    clickhouse,
    clocks,
    groups,
    local,
    partitions,
    permissions,
    processes,
    registered,
    topics,
    transactions,
)
from streams.doctor.findings import Finding, Status, few, span, worst
from streams.doctor.progress import Backlog
from streams.running import Part, State
from streams.topics import table as topic_table
from streams.topics.table import Found
from tests.examples import example
from workers.kafka.cluster import PartitionState
from workers.kafka.ends import End
from workers.kafka.grants import Grant, Grants
from workers.kafka.groups import Group, MemberState

KAFKA_4 = dict.fromkeys(broker.NEEDED, (0, 9)) | {1: (4, 17), 37: (0, 3), 61: (0, 0)}
PLACE = ("weir.metrics", 0)
NOW = 1_000_000


def statuses(findings: list[Finding]) -> dict[str, Status]:
    return {each.subject: each.status for each in findings}


def table() -> dict[str, Found]:
    return {row.name: Found(row.partitions, 3, row.config(3)) for row in topic_table.wanted(())}


@pytest.mark.parametrize(
    ("apis", "status", "words"),
    [
        (KAFKA_4, Status.OK, "3.9 or 4.0"),
        (KAFKA_4 | {1: (0, 18)}, Status.OK, "4.1 or newer"),
        (KAFKA_4 | {1: (0, 15)}, Status.OK, "3.5 or 3.6"),
        (KAFKA_4 | {1: (0, 13)}, Status.FAIL, "older than Apache Kafka 3.5"),
        ({k: v for k, v in KAFKA_4.items() if k != 28}, Status.FAIL, "TxnOffsetCommit"),
        ({k: v for k, v in KAFKA_4.items() if k not in (37, 61)}, Status.WARN, "embedded"),
    ],
)
def test_a_broker_is_judged_by_the_requests_that_it_knows(
    apis: dict[int, tuple[int, int]], status: Status, words: str
) -> None:
    facts = broker.Facts("h:1", apis, "c", "", 1, {1: "h:1"}, {})
    version, *others = broker.judge(facts)
    assert (version.status, words in version.what) == (status, True)
    assert {each.status for each in others} == {Status.OK}


def test_a_cluster_without_a_controller_and_with_a_broker_out_of_reach() -> None:
    facts = broker.Facts("h:1", KAFKA_4, "c", "other", -1, {1: "h:1", 2: "i:1"}, {2: "refused"})
    found = broker.judge(facts)
    assert statuses(found) == {
        "version": Status.OK,
        "cluster": Status.FAIL,
        "controller": Status.FAIL,
        "broker 2": Status.FAIL,
    }
    assert "advertised.listeners" in found[-1].mend


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (PartitionState(1, (1, 2, 3), (1, 2, 3)), {"partitions": Status.OK}),
        (PartitionState(1, (1, 2, 3), (1, 2)), {"copies": Status.WARN}),
        (PartitionState(-1, (1, 2, 3), ()), {"offline": Status.FAIL}),
    ],
)
def test_partitions_need_leaders_and_copies(
    state: PartitionState, expected: dict[str, Status]
) -> None:
    facts = partitions.Facts({"weir.metrics": {0: state}}, replication=3, brokers=3)
    assert statuses(partitions.judge(facts)) == expected


def test_internal_topics_need_as_many_copies_as_ours() -> None:
    thin = {"__transaction_state": {0: PartitionState(1, (1,), (1,))}}
    assert statuses(partitions.judge(partitions.Facts(thin, 3, 3))) == {"replication": Status.WARN}
    assert statuses(partitions.judge(partitions.Facts({}, 3, 1))) == {"replication": Status.FAIL}


@pytest.mark.parametrize(
    ("name", "change", "status", "words"),
    [
        ("weir.apps", {"cleanup.policy": "compact,delete"}, Status.FAIL, "should be compact"),
        ("weir.labels", {"retention.ms": "1000"}, Status.FAIL, "retention.ms is 1000"),
        ("weir.labels", {"retention.ms": "-1"}, Status.WARN, "retention.ms is -1"),
        ("weir.labels", {"max.message.bytes": "10"}, Status.FAIL, "max.message.bytes is 10"),
        ("weir.labels", {"max.message.bytes": "9999999"}, Status.WARN, "9999999"),
        ("weir.labels", {"min.insync.replicas": "1"}, Status.WARN, "should be 2"),
    ],
)
def test_a_topic_that_differs_is_as_bad_as_its_harm(
    name: str, change: dict[str, str], status: Status, words: str
) -> None:
    found = table()
    found[name] = replace(found[name], config={**found[name].config, **change})
    (finding,) = topics.judge(topics.Facts(found, 3))
    assert (finding.subject, finding.status) == (name, status)
    assert words in finding.what
    assert finding.mend == "weir topics apply"


def test_a_topic_that_cannot_be_written_and_one_that_tells_nothing() -> None:
    found = table()
    config = {**found["weir.labels"].config, "min.insync.replicas": "4"}
    found["weir.labels"] = replace(found["weir.labels"], config=config)
    found["weir.metrics"] = replace(found["weir.metrics"], config={})
    judged = statuses(topics.judge(topics.Facts(found, 3)))
    assert judged["min.insync.replicas"] is Status.FAIL
    assert judged["configuration"] is Status.WARN


def reader(backlog: tuple[Backlog, ...] = (), **group: object) -> groups.Reader:
    return groups.Reader(
        "observe",
        (Group("weir-observe", **({"state": "STABLE"} | group)),),  # type: ignore[arg-type]
        frozenset({PLACE}),
        backlog=backlog,
        command="weir run observe",
    )


def judged(one: groups.Reader) -> list[Finding]:
    return groups.judge(groups.Facts((one,), (), NOW))


def test_a_reader_that_gets_on_is_well_and_one_behind_is_warned_of() -> None:
    fresh = Backlog(PLACE, 1, 9, NOW - 1_000)
    assert statuses(judged(reader((fresh,)))) == {"readers": Status.OK}
    old = replace(fresh, since_ms=NOW - 60_000, moved=True)
    (behind,) = judged(reader((old,)))
    assert (behind.status, behind.what[:9]) == (Status.WARN, "is behind")


def test_a_member_whose_position_does_not_move_is_stuck_and_named() -> None:
    member = MemberState("rdkafka", "10.0.0.1", "", frozenset({PLACE}))
    still = Backlog(PLACE, 1, 9, NOW - 20_000)
    (stuck,) = judged(reader((still,), members=(member,)))
    assert stuck.status is Status.FAIL
    assert "stands at 1 of 9" in stuck.what
    assert "rdkafka on 10.0.0.1" in stuck.why
    assert "weir run observe" in stuck.mend


def test_positions_that_are_held_back_on_purpose_are_given_time() -> None:
    still = Backlog(PLACE, 1, 9, NOW - 600_000, grew=True)
    held = replace(reader((still,)), held=frozenset({"weir.metrics"}))
    assert statuses(judged(held)) == {"readers": Status.OK}
    late = replace(still, since_ms=NOW - groups.HELD_MS)
    assert statuses(judged(replace(held, backlog=(late,)))) == {"observe": Status.FAIL}
    idle = replace(late, grew=False)
    assert statuses(judged(replace(held, backlog=(idle,)))) == {"readers": Status.OK}


@pytest.mark.parametrize(("waits", "status"), [(False, Status.WARN), (True, Status.FAIL)])
@pytest.mark.parametrize("state", ["EMPTY", "DEAD"])
def test_a_processor_that_nobody_runs(waits: bool, status: Status, state: str) -> None:
    backlog = (Backlog(PLACE, 0, 9, NOW - 1),) if waits else ()
    (finding,) = judged(reader(backlog, state=state))
    assert (finding.status, finding.mend) == (status, "weir run observe")


def test_a_partition_that_no_member_has() -> None:
    other = MemberState("rdkafka", "h", "", frozenset({("weir.metrics", 1)}))
    (finding,) = judged(reader(members=(other,)))
    assert (finding.status, finding.what) == (Status.FAIL, "nobody reads weir.metrics/0")


def test_tasks_that_a_worker_does_not_work_off() -> None:
    waiting = Backlog(("weir.tasks.w", 0), 0, 1, NOW - groups.OPEN_MS)
    (finding,) = groups.judge(groups.Facts((), (waiting,), NOW))
    assert (finding.subject, finding.status) == ("workers", Status.WARN)


@pytest.mark.parametrize(
    ("age_ms", "status"), [(14_000, Status.OK), (16_000, Status.FAIL), (600_000, Status.FAIL)]
)
def test_a_transaction_hangs_when_it_outlives_its_timeout(age_ms: int, status: Status) -> None:
    held = {PLACE: transactions.Open(7, 3, NOW - age_ms)}
    (finding,) = transactions.judge(transactions.Facts(held, NOW, embedded=False))
    assert finding.status is status
    assert ("--start-offset 7" in finding.mend) is (status is Status.FAIL)


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        ((1_400, 100), {"clocks": Status.OK}),
        ((-2_400, 500), {"clocks": Status.OK}),
        ((-5_000, 500), {"registry": Status.WARN}),
        ((70_000, 500), {"registry": Status.FAIL}),
        ("away", {"registry": Status.SKIP}),
    ],
)
def test_clocks_are_judged_beyond_what_is_uncertain(
    ahead: tuple[float, float] | str, expected: dict[str, Status]
) -> None:
    assert statuses(clocks.judge(clocks.Facts({"registry": ahead}, {}, NOW))) == expected


def test_records_ahead_and_records_stamped_by_the_broker() -> None:
    newest = {PLACE: End(1, 1, 0, NOW + 5_000, appended=True)}
    early, stamped = clocks.judge(clocks.Facts({}, newest, NOW))
    assert (early.status, "the broker's clock" in early.why) == (Status.WARN, True)
    assert "LogAppendTime" in stamped.what


def allowed(**change: object) -> permissions.Facts:
    every = frozenset({"READ", "WRITE", "DESCRIBE", "CREATE"})
    facts = permissions.Facts(
        {"weir.metrics": every},
        {"weir-observe": every},
        every,
        Grants(enforced=False),
        ("weir-a-0",),
    )
    return replace(facts, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {"permissions": Status.OK}),
        ({"topics": {"weir.metrics": frozenset({"DESCRIBE"})}}, {"topics": Status.FAIL}),
        ({"groups": {"weir-observe": frozenset()}}, {"groups": Status.FAIL}),
        (
            {"cluster": frozenset(), "topics": {"t": permissions.ON_TOPICS}},
            {"cluster": Status.WARN},
        ),
        ({"grants": Grants()}, {"transactional ids": Status.WARN}),
        (
            {"grants": Grants(), "cluster": frozenset({"CREATE", "ALTER", "CLUSTER_ACTION"})},
            {"permissions": Status.OK},
        ),
        ({"grants": Grants(told=False)}, {"transactional ids": Status.SKIP}),
        ({"grants": Grants(), "cluster": None}, {"transactional ids": Status.SKIP}),
        ({"cluster": None, "topics": {"t": permissions.ON_TOPICS}}, {"cluster": Status.WARN}),
        (
            {"grants": Grants((Grant("PREFIXED", "weir-", "WRITE", "User:a", allowed=True),))},
            {"permissions": Status.OK},
        ),
        (
            {"grants": Grants((Grant("LITERAL", "weir-b-0", "ALL", "User:a", allowed=True),))},
            {"transactional ids": Status.WARN},
        ),
        (
            {"topics": {"t": None}, "groups": {"g": None}, "cluster": None},
            {"permissions": Status.SKIP},
        ),
    ],
)
def test_permissions(change: dict[str, object], expected: dict[str, Status]) -> None:
    assert statuses(permissions.judge(allowed(**change))) == expected


HOUSE = clickhouse.Facts("h:1", "26", "weir", (), 0, (clickhouse.Disk("default", 50, 100),))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (HOUSE, {"clickhouse": Status.OK}),
        (replace(HOUSE, stale=None), {"tables": Status.FAIL}),
        (replace(HOUSE, stale=("drifts",)), {"tables": Status.FAIL}),
        (replace(HOUSE, read_only=1), {"writing": Status.FAIL}),
        (replace(HOUSE, stuck_tables=("drifts",)), {"writing": Status.FAIL}),
        (replace(HOUSE, parts=300), {"parts": Status.WARN}),
        (replace(HOUSE, disks=(clickhouse.Disk("d", 9, 100),)), {"space": Status.WARN}),
        (replace(HOUSE, disks=(clickhouse.Disk("d", 1, 100),)), {"space": Status.FAIL}),
        (
            replace(HOUSE, disks=(clickhouse.Disk("d", 50, 100, read_only=True),)),
            {"writing": Status.FAIL},
        ),
    ],
)
def test_clickhouse(facts: clickhouse.Facts, expected: dict[str, Status]) -> None:
    assert statuses(clickhouse.judge(facts)) == expected


MACHINE = local.Facts((3, 11), ("rich>=14",), {"rich": "14.1"}, 65536, "/d", "", 9999, ())


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (MACHINE, {"machine": Status.OK}),
        (replace(MACHINE, python=(3, 9)), {"python": Status.FAIL}),
        (replace(MACHINE, python=(3, 14)), {"python": Status.WARN}),
        (replace(MACHINE, versions={"rich": "13.9"}), {"libraries": Status.FAIL}),
        (replace(MACHINE, versions={"rich": None}), {"libraries": Status.FAIL}),
        (replace(MACHINE, files_limit=256), {"files": Status.WARN}),
        (replace(MACHINE, refusal="no"), {"data": Status.FAIL}),
        (replace(MACHINE, free_mib=500), {"space": Status.WARN}),
        (replace(MACHINE, free_mib=5), {"space": Status.FAIL}),
        (replace(MACHINE, problems=("WEIR_X: no",)), {"settings": Status.FAIL}),
        (replace(MACHINE, open_secrets="/f"), {"settings": Status.WARN}),
    ],
)
def test_this_machine(facts: local.Facts, expected: dict[str, Status]) -> None:
    assert statuses(local.judge(facts)) == expected


def world(*events: object) -> registered.Facts:
    entries: dict[type, dict[str, object]] = {}
    for number, event in enumerate(events):
        entries.setdefault(type(event), {})[getattr(event, "app", None) or str(number)] = event
    return registered.Facts(Catalogue(entries), (), NOW)  # type: ignore[arg-type]


def test_what_names_nobody_and_nodes_that_are_silent() -> None:
    app = replace(
        example(ApplicationRegistered),
        app="a",
        stages=(Stage(stage="s", stage_id="1", services=("ghost",)),),
    )
    service = replace(example(ServiceRegistered), app="b", artifact="", variants=())
    ensemble = replace(
        example(EnsembleSelected),
        app="a",
        members=(EnsembleMember(service="ghost", weight=1.0, role="member"),),
    )
    node = replace(example(NodeReported), expires_at=NOW - 1)
    found = registered.judge(world(app, service, ensemble, node))
    assert [(each.subject, each.status) for each in found] == [
        ("b", Status.WARN),
        ("a", Status.WARN),
        ("a", Status.FAIL),
        ("artifacts", Status.WARN),
        ("nodes", Status.FAIL),
    ]
    fresh = replace(node, expires_at=NOW + 1)
    assert statuses(registered.judge(world(fresh))) == {"catalogue": Status.OK}


def test_a_stack_whose_part_has_ended() -> None:
    part = Part(
        name="sink", pid=1, alive=True, ready=True, restarts=0, memory_mib=1, health="", log="l"
    )
    state = State(
        pid=1,
        started=0,
        ready=True,
        bootstrap="",
        registry="",
        clickhouse_host="",
        clickhouse_port=1,
        limit_mib=100,
        data_dir="d",
        parts=(part,),
    )

    def status(each: Part) -> dict[str, Status]:
        return statuses(processes.judge(processes.Facts(replace(state, parts=(each,)), "d")))

    assert status(part) == {"stack": Status.OK}
    assert status(replace(part, alive=False, ready=False)) == {"sink": Status.FAIL}
    assert status(replace(part, restarts=2)) == {"sink": Status.WARN}
    assert status(replace(part, name="broker", memory_mib=90)) == {"broker": Status.WARN}
    assert statuses(processes.judge(processes.Facts(None, "d"))) == {"stack": Status.OK}


def test_words() -> None:
    assert few("gfedcba") == "a, b, c, d, e and 2 more"
    assert [span(ms) for ms in (1_500, 119_000, 120_000, 7_200_000)] == [
        "1.5 s",
        "119.0 s",
        "2 min",
        "2 h",
    ]
    assert worst([]) is Status.OK
