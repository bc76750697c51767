"""What the embedded registry keeps of a schema: references, metadata, ids, through all clients."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import requests
from confluent_kafka.schema_registry import Schema, SchemaReference
from confluent_kafka.schema_registry import schema_registry_client as classes

from streams.embedded.broker import Broker
from tests.embedded.conftest import Server
from tests.embedded.registry_world import A, B, Client, avro, code_of, record, tagged


def test_layout_and_ways_to_write_names_do_not_matter(client: Client, url: str) -> None:
    plain = Schema(record("x.R", {"name": "a", "type": {"type": "string"}}), "AVRO")
    other = Schema(record("R", A, namespace="x"), "AVRO")
    first = client.register_schema("written", plain)
    assert client.register_schema("written", other) == first
    assert client.register_schema("written", other, normalize_schemas=True) == first
    assert client.lookup_schema("written", other, normalize_schemas=True).version == 1
    documented = Schema(record("x.R", A, doc="of use"), "AVRO")
    assert client.register_schema("written", documented) != first
    with Client({"url": url}) as fresh:
        fresh.register_schema("normal", other, normalize_schemas=True)
        text = fresh.get_latest_version("normal").schema.schema_str
    assert text == '{"fields":[{"name":"a","type":"string"}],"name":"x.R","type":"record"}'


def test_metadata_and_rules_are_kept_and_found(client: Client, url: str) -> None:
    rule = classes.Rule(
        *("r", None, classes.RuleKind.CONDITION, classes.RuleMode.WRITE, "CEL", None, None),
        *("true", None, None, False),
    )
    rules = classes.RuleSet(None, [rule])
    first = client.register_schema("told", avro(A, metadata=tagged(stage="old"), rule_set=rules))
    second = client.register_schema("told", avro(A, metadata=tagged(stage="new", owner="me")))
    assert first != second
    with Client({"url": url}) as fresh:
        assert fresh.get_latest_with_metadata("told", {"stage": "old"}).schema_id == first
        both = {"stage": "new", "owner": "me"}
        assert fresh.get_latest_with_metadata("told", both).schema_id == second
        absent = both | {"owner": "you"}
        assert code_of(lambda: fresh.get_latest_with_metadata("told", absent)) == 40403
        newest = fresh.get_latest_version("told").schema
        assert newest.metadata == tagged(stage="new", owner="me")
        assert newest.rule_set.domain_rules == [rule]
        assert fresh.lookup_schema("told", avro(A)).version == 2
        heir = fresh.register_schema_full_response("told", avro(A, B))
        assert heir.schema.metadata == tagged(stage="new", owner="me")


def test_schemas_refer_to_each_other(client: Client, url: str) -> None:
    part = Schema(record("Part", A, namespace="n"), "AVRO")
    client.register_schema("part", part)
    uses = {"name": "p", "type": "n.Part"}
    pairs = {"name": "q", "type": {"type": "array", "items": "n.Part"}}
    reference = SchemaReference("n.Part", "part", 1)
    whole = Schema(record("Whole", uses, pairs), "AVRO", [reference])
    schema_id = client.register_schema("whole-of-parts", whole)
    assert client.get_referenced_by("part", 1) == [schema_id]
    assert client.get_referenced_by("whole-of-parts") == []
    assert code_of(lambda: client.delete_version("part", 1)) == 42206
    assert code_of(lambda: client.delete_subject("part")) == 42206
    with Client({"url": url}) as fresh:
        assert fresh.get_schema(schema_id).references == [reference]
        plain = fresh.get_version("whole-of-parts", 1, fmt="resolved").schema.schema_str
    inner = json.loads(plain)["fields"][0]["type"]
    assert (inner["name"], inner["fields"]) == ("n.Part", [A])
    assert json.loads(plain)["fields"][1]["type"]["items"] == "n.Part"
    lost = Schema(record("Lost", uses), "AVRO", [SchemaReference("n.Part", "part", 9)])
    assert code_of(lambda: client.register_schema("lost", lost)) == 42201
    assert code_of(lambda: client.register_schema("lost", Schema(record("L", uses)))) == 42201
    narrower = {"name": "p", "type": {"type": "record", "name": "n.Part", "fields": [A, B]}}
    client.register_schema("whole-of-parts", Schema(record("Whole", narrower, pairs), "AVRO"))
    client.delete_subject("whole-of-parts")
    assert client.delete_subject("part") == [1]


def test_what_is_not_kept_here_is_refused_in_confluents_form(client: Client, url: str) -> None:
    assert code_of(lambda: client.register_schema("other", Schema("{}", "JSON"))) == 42201
    assert code_of(lambda: client.register_schema(":.other:s", avro(A))) == 42208
    assert code_of(lambda: client.register_schema("bell\x07", avro(A))) == 42208
    large = avro(A | {"doc": "x" * 1_000_000})
    assert code_of(lambda: client.register_schema("large", large)) == 42209
    assert code_of(lambda: client.register_schema("empty", Schema("", "AVRO"))) == 42201
    wanted = classes.AssociationCreateOrUpdateRequest("t", "c", "i", "topic", [])
    assert code_of(lambda: client.create_association(wanted)) == 404
    assert code_of(lambda: client.delete_associations("i")) == 404
    assert code_of(lambda: client.get_associations_by_resource_name("t", "-")) == 404
    assert client.register_schema(":.:default", avro(A)) == client.register_schema(
        "default", avro(A)
    )
    answer = requests.get(f"{url}/subjects?limit=few", timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (404, 404)


def test_many_clients_at_once_get_one_id_for_one_schema(url: str) -> None:
    together = Barrier(8)

    def register(number: int) -> list[int]:
        with Client({"url": url}) as client:
            together.wait(60)
            return [
                client.register_schema(f"race-{number % 2}", avro(A, name=f"Race{n}"))
                for n in range(5)
            ]

    with Client({"url": url}) as client, ThreadPoolExecutor(8) as pool:
        for number in range(2):
            client.set_compatibility(f"race-{number}", "NONE")
        answers = list(pool.map(register, range(8)))
        assert len({tuple(answer) for answer in answers}) == 1
        assert len(set(answers[0])) == 5
        assert client.get_versions("race-0") == client.get_versions("race-1") == [1, 2, 3, 4, 5]


def test_a_restart_brings_everything_back(
    broker: Broker, client: Client, url: str, tmp_path: Path
) -> None:
    client.register_schema("kept-part", Schema(record("Part", A, namespace="kept"), "AVRO"))
    whole = record("Whole", {"name": "p", "type": "kept.Part"})
    reference = SchemaReference("kept.Part", "kept-part", 1)
    client.register_schema("kept", Schema(whole, "AVRO", [reference], tagged(stage="old")))
    client.set_compatibility("kept", "FORWARD")
    client.update_mode("kept", "READONLY")
    client.register_schema("kept-gone", avro(A))
    client.delete_subject("kept-gone")
    second = Server("streams.embedded.registry", (), tmp_path / "second.log")
    second.start(WEIR_KAFKA__BOOTSTRAP=broker.bootstrap)
    try:
        with Client({"url": f"http://127.0.0.1:{second.port}"}) as other:
            assert other.get_subjects(deleted=True) == client.get_subjects(deleted=True)
            assert other.get_subjects() == client.get_subjects()
            assert other.get_latest_version("kept") == client.get_latest_version("kept")
            assert other.get_latest_with_metadata("kept", {"stage": "old"}).version == 1
            assert other.get_compatibility("kept") == "FORWARD"
            assert other.get_mode("kept") == "READONLY"
            assert other.get_compatibility() == client.get_compatibility()
            assert code_of(lambda: other.delete_subject("kept-part")) == 42206
    finally:
        second.stop()
        client.delete_mode("kept")
