"""Who is meant by foreign attributes, and what stands in the name of a metric."""

import pytest

from workers.intake.naming import MAX_LABELS, MAX_TEXT, Who, digest, labelled, text, who
from workers.intake.receiving import terms_of
from workers.settings import IntakeSettings

NAMES = terms_of(IntakeSettings()).names


def canonical(**attributes: str) -> dict[str, str]:
    return attributes


def test_attributes_of_opentelemetry_say_who() -> None:
    found = who(
        NAMES,
        canonical(
            service_namespace="shop",
            service_name="detector",
            service_instance_id="d-1",
            host_name="edge-1",
            weir_stage="detect",
        ),
    )
    assert found == Who("shop", "detect", "detector", "d-1", "edge-1")


def test_our_own_attributes_are_the_best() -> None:
    found = who(NAMES, canonical(weir_app="a", service_namespace="b", weir_node="n", host_name="h"))
    assert found == Who("a", node="n")


def test_without_an_application_the_configured_one_counts_then_the_service() -> None:
    attributes = canonical(service_name="detector")
    assert who(NAMES, attributes) == Who("detector", service="detector")
    named = terms_of(IntakeSettings(app="shop")).names
    assert who(named, attributes) == Who("shop", service="detector")


def test_nobody_is_meant_by_nothing() -> None:
    assert who(NAMES, {}) is None
    assert who(NAMES, canonical(service_name="unknown_service:python")) is None


def test_which_attributes_say_who_can_be_set() -> None:
    names = terms_of(IntakeSettings(app_from="tenant.id, team", labels="route")).names
    assert who(names, canonical(tenant_id="t", team="u")) == Who("t")
    assert labelled(names, {"route": "/a", "method": "GET"}, names.telling) == '{route="/a"}'


def test_labels_stand_in_order_and_those_that_say_who_do_not() -> None:
    labels = {"z": "1", "a.b": 'q"\\\n', "host.name": "h", "weir.request_id": "r"}
    assert labelled(NAMES, labels, NAMES.telling) == '{a.b="q\\"\\\\\\n",z="1"}'
    assert labelled(NAMES, {"job": "x"}, NAMES.telling) == ""
    assert labelled(terms_of(IntakeSettings(labels="")).names, {"a": "1"}, frozenset()) == ""


def test_a_digest_tells_labels_apart_and_not_their_order() -> None:
    assert digest([("a", "1"), ("b", "2")]) == digest([("b", "2"), ("a", "1")])
    assert digest([("a", "1b")]) != digest([("a1", "b")])
    assert len(digest([("a", "x" * 10_000)])) == 32


def test_labels_that_are_too_long_are_told() -> None:
    assert labelled(NAMES, {"a": "x" * MAX_LABELS}, NAMES.telling) is None


@pytest.mark.parametrize(("given", "made"), [("a\ud800", "a?"), (7, "7"), ("x" * 999, "x" * 256)])
def test_text_is_bounded_and_can_be_written(given: object, made: str) -> None:
    assert text(given) == made
    assert len(text(given)) <= MAX_TEXT
