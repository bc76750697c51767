"""The registry's decisions, and that its records alone bring them back."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.embedded.schema_log import record_of
from streams.embedded.subjects import Subjects
from streams.embedded.versions import Content, RegistryRefused, Write

FIELDS = ("a", "b", "c")
schema = st.sets(st.sampled_from(FIELDS)).map(
    lambda names: json.dumps(
        {
            "type": "record",
            "name": "R",
            "fields": [{"name": n, "type": "int", "default": 0} for n in sorted(names)],
        }
    )
)
subject = st.sampled_from(["s", "t"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("register"), subject, schema),
        st.tuples(st.just("soft"), subject, st.just("")),
        st.tuples(st.just("hard"), subject, st.just("")),
        st.tuples(st.just("level"), subject, st.sampled_from(["FULL", "NONE"])),
        st.tuples(st.just("mode"), subject, st.sampled_from(["READONLY", "READWRITE"])),
    ),
    max_size=25,
)


def decide(state: Subjects, step: tuple[str, str, str]) -> tuple[Write, ...]:
    kind, name, text = step
    actions: dict[str, Callable[[], tuple[Write, ...]]] = {
        "register": lambda: state.register(name, Content(text)).writes,
        "soft": lambda: state.delete(state.versions(name), permanent=False),
        "hard": lambda: state.delete(state.versions(name, deleted=True), permanent=True),
        "level": lambda: state.settings.set_compatibility(name, text),
        "mode": lambda: state.settings.set_mode(name, text),
    }
    return actions[kind]()


def told(state: Subjects) -> object:
    names = state.subjects(deleted=True)
    versions = [version for name in names for version in state.versions(name, deleted=True)]
    return versions, [
        (state.settings.compatibility(name), state.settings.mode(name)) for name in ("s", "t", "")
    ]


@given(steps)
def test_records_bring_everything_back(taken: list[tuple[str, str, str]]) -> None:
    state, again = Subjects(), Subjects()
    for step in taken:
        try:
            writes = decide(state, step)
        except RegistryRefused:
            continue
        for write in writes:
            state.apply(write)
            value = None if write.value is None else json.dumps(write.value).encode()
            record = record_of(json.dumps(write.key).encode(), value)
            assert record is not None
            again.apply(record)
        assert told(again) == told(state)


@given(steps)
def test_an_id_names_one_schema_for_ever(taken: list[tuple[str, str, str]]) -> None:
    state = Subjects()
    seen: dict[int, str] = {}
    for step in taken:
        try:
            writes = decide(state, step)
        except RegistryRefused:
            continue
        for write in writes:
            state.apply(write)
            if write.value and "id" in write.value:
                assert (
                    seen.setdefault(write.value["id"], write.value["schema"])
                    == (write.value["schema"])
                )


@given(st.lists(schema, min_size=1, max_size=6))
def test_registering_again_writes_nothing(texts: list[str]) -> None:
    state = Subjects()
    for text in texts:
        first = state.register("s", Content(text))
        for write in first.writes:
            state.apply(write)
        again = state.register("s", Content(text))
        assert (again.version, again.writes) == (first.version, ())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"not json", b"{}"),
        (b'{"keytype": "NOOP", "magic": 0}', b"{}"),
        (b"[]", b"{}"),
        (b'{"keytype": "SCHEMA"}', b"\xff"),
        (b'{"keytype": "SCHEMA", "subject": "s", "version": 1}', b'{"id": 1}'),
        (b'{"keytype": "SCHEMA", "subject": "s"}', b'{"id": 1, "schema": "{}"}'),
        (b'{"keytype": "MODE"}', b"[]"),
        (b'{"keytype": "SCHEMA", "subject": "s", "version": 1}', b'{"id": "x", "schema": "{}"}'),
        (
            b'{"keytype": "SCHEMA", "subject": "s", "version": 1}',
            b'{"id": 1, "schema": "{}", "references": [{"name": "n"}]}',
        ),
    ],
)
def test_foreign_records_are_passed_over(key: bytes | None, value: bytes) -> None:
    assert record_of(key, value) is None


def test_a_subject_that_confluents_registry_deleted_is_deleted() -> None:
    state = Subjects()
    for version, text in enumerate(('"int"', '"long"', '"double"'), 1):
        key = {"keytype": "SCHEMA", "subject": "s", "version": version}
        state.apply(Write(key, {"id": version, "schema": text}))
    key = {"keytype": "DELETE_SUBJECT", "subject": "s", "magic": 0}
    state.apply(Write(key, {"subject": "s", "version": 2}))
    assert [version.version for version in state.versions("s")] == [3]
    assert len(state.versions("s", deleted=True)) == 3


def test_a_schema_of_another_kind_is_kept_and_judged_by_nobody() -> None:
    state = Subjects()
    key = {"keytype": "SCHEMA", "subject": "s", "version": 1}
    value = {"id": 4, "schema": 'syntax = "proto3";', "schemaType": "PROTOBUF"}
    state.apply(Write(key, value))
    assert state.version("s", "latest").content.kind == "PROTOBUF"
    assert state.register("t", Content('"int"')).version.id == 5


def test_references_that_go_in_a_circle_are_refused() -> None:
    state = Subjects()
    for name, other in (("s", "t"), ("t", "s")):
        reference = {"name": other.upper(), "subject": other, "version": 1}
        value = {"id": 1, "schema": '"int"', "references": [reference]}
        state.apply(Write({"keytype": "SCHEMA", "subject": name, "version": 1}, value))
    with pytest.raises(RegistryRefused, match="refers to itself") as caught:
        state.incompatibilities("u", state.version("s", "1").content)
    assert caught.value.code == 42201
