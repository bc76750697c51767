"""Every call of confluent-kafka's registry client, answered as Confluent's registry does."""

import json
from typing import Any

import requests
from confluent_kafka.schema_registry import Schema
from confluent_kafka.schema_registry import schema_registry_client as classes

from tests.embedded.registry_world import A, B, C, Client, avro, code_of, record


def test_a_version_tells_all_about_itself(client: Client, url: str) -> None:
    made = client.register_schema_full_response("whole", avro(A))
    assert (made.subject, made.version) == ("whole", 1)
    with Client({"url": url}) as fresh:
        assert fresh.get_schema(made.schema_id) == avro(A)
        assert fresh.get_schema_by_guid(made.guid) == avro(A)
        held = fresh.get_version("whole", 1)
        assert held == made
        assert fresh.get_latest_version("whole") == made
        assert fresh.lookup_schema("whole", avro(A)) == made
    only = requests.get(f"{url}/schemas/ids/{made.schema_id}/schema", timeout=60).json()
    assert only == json.loads(record("R", A))
    assert client.get_schema_types() == ["AVRO"]
    assert client.get_contexts() == ["."]
    assert code_of(lambda: client.get_schema_by_guid("0" * 32)) == 40403


def test_lists_are_filtered_and_paged(client: Client) -> None:
    for name in ("page-a", "page-b", "page-c"):
        shared = client.register_schema(name, avro(A, name="Paged"))
    client.register_schema("page-c", avro(A, B, name="Paged"))
    client.register_schema("page-c", avro(A, B, C, name="Paged"))
    client.delete_subject("page-b")
    assert client.get_subjects("page-") == ["page-a", "page-c"]
    assert client.get_subjects(":.:page-") == ["page-a", "page-c"]
    assert client.get_subjects("page-", deleted=True) == ["page-a", "page-b", "page-c"]
    assert client.get_subjects("page-", deleted=True, deleted_only=True) == ["page-b"]
    assert client.get_subjects("page-", deleted=True, offset=1, limit=1) == ["page-b"]
    assert client.get_subjects_by_schema_id(shared) == ["page-a", "page-c"]
    assert client.get_subjects_by_schema_id(shared, "page-a") == ["page-a"]
    assert client.get_subjects_by_schema_id(shared, deleted=True, offset=1, limit=1) == ["page-b"]
    uses = client.get_schema_versions(shared)
    assert [(use.subject, use.version) for use in uses] == [("page-a", 1), ("page-c", 1)]
    assert client.get_versions("page-c", offset=1) == [2, 3]
    client.delete_version("page-c", 2)
    assert client.get_versions("page-c") == [1, 3]
    assert client.get_versions("page-c", deleted_only=True) == [2]
    assert client.get_versions("page-c", deleted=True) == [1, 2, 3]


def test_one_version_is_deleted_softly_then_for_good(client: Client, url: str) -> None:
    client.register_schema("shrinks", avro(A))
    second = client.register_schema("shrinks", avro(A, B))
    assert code_of(lambda: client.delete_version("shrinks", 2, permanent=True)) == 40407
    assert client.delete_version("shrinks", 2) == 2
    assert code_of(lambda: client.delete_version("shrinks", 2)) == 40406
    assert client.get_latest_version("shrinks").version == 1
    with Client({"url": url}) as fresh:
        assert code_of(lambda: fresh.lookup_schema("shrinks", avro(A, B))) == 40403
        assert fresh.lookup_schema("shrinks", avro(A, B), deleted=True).schema_id == second
        assert fresh.get_version("shrinks", 2, deleted=True).schema_id == second
    with Client({"url": url}) as fresh:
        again = fresh.register_schema_full_response("shrinks", avro(A, B))
        assert (again.schema_id, again.version) == (second, 3)
        assert fresh.delete_version("shrinks", 2, permanent=True) == 2
        assert fresh.get_versions("shrinks", deleted=True) == [1, 3]


def test_settings_go_with_their_subject(client: Client) -> None:
    client.register_schema("settled", avro(A))
    client.set_compatibility("settled", "NONE")
    client.update_mode("settled", "READWRITE")
    client.delete_subject("settled")
    assert code_of(lambda: client.get_compatibility("settled")) == 40408
    assert code_of(lambda: client.get_mode("settled")) == 40409


def test_levels_are_set_read_and_taken_away(client: Client) -> None:
    level = classes.ConfigCompatibilityLevel
    general = client.get_compatibility()
    client.set_compatibility(level="backward")
    assert client.get_config().compatibility_level == level.BACKWARD
    client.set_config("levels", classes.ServerConfig(compatibility=level.FULL))
    assert client.get_compatibility("levels") == "FULL"
    assert client.delete_config("levels").compatibility_level == level.FULL
    assert code_of(lambda: client.get_config("levels")) == 40408
    assert code_of(lambda: client.delete_config("levels")) == 40401
    assert client.delete_config().compatibility_level == level.BACKWARD
    assert client.get_compatibility() == general
    assert code_of(lambda: client.set_compatibility("levels", "SOMEHOW")) == 42203
    grouped = classes.ServerConfig(compatibility=level.FULL, compatibility_group="g")
    assert code_of(lambda: client.set_config("levels", grouped)) == 42205


def test_modes_are_set_read_and_taken_away(client: Client) -> None:
    assert client.get_global_mode() == "READWRITE"
    assert code_of(lambda: client.get_mode("modes")) == 40409
    assert code_of(lambda: client.delete_mode("modes")) == 40401
    assert code_of(lambda: client.update_mode("modes", "UPSIDEDOWN")) == 42204
    assert client.update_mode("modes", "READONLY") == "READONLY"
    assert client.get_mode("modes") == "READONLY"
    assert code_of(lambda: client.register_schema("modes", avro(A))) == 42205
    assert code_of(lambda: client.set_compatibility("modes", "NONE")) == 42205
    assert client.delete_mode("modes") == "READONLY"
    client.register_schema("modes", avro(A))
    client.update_global_mode("READONLY")
    try:
        assert code_of(lambda: client.register_schema("modes", avro(A, B))) == 42205
        assert client.lookup_schema("modes", avro(A)).version == 1
    finally:
        client.update_global_mode("READWRITE")


def test_schemas_are_imported_with_their_ids(client: Client, url: str) -> None:
    client.register_schema("occupied", avro(A))
    assert code_of(lambda: client.update_mode("occupied", "IMPORT")) == 42205
    assert client.update_mode("occupied", "IMPORT", force=True) == "IMPORT"
    client.update_mode("imported", "IMPORT")
    assert code_of(lambda: client.register_schema("imported", avro(A, name="I"))) == 42205

    def send(text: str, **place: int) -> dict[str, Any]:
        body = {"schema": text} | place
        path = f"{url}/subjects/imported/versions"
        answered: dict[str, Any] = requests.post(path, json=body, timeout=60).json()
        return answered

    first = send(record("I", A), id=70_001, version=3)
    assert (first["id"], first["version"]) == (70_001, 3)
    assert send(record("I", B), id=70_001)["error_code"] == 42205
    assert send(record("I", {"name": "z", "type": "int"}), id=70_002)["version"] == 4
    client.delete_mode("imported")
    client.delete_mode("occupied")
    assert send(record("I", A), id=70_003)["error_code"] == 42205
    assert client.register_schema("after-import", avro(A, name="After")) == 70_003


def test_compatibility_is_told_before_registering(client: Client, url: str) -> None:
    assert client.test_compatibility("unborn", avro(A))
    assert client.test_compatibility_all_versions("unborn", avro(A))
    assert code_of(lambda: client.test_compatibility("unborn", avro(A), version=1)) == 40402
    client.set_compatibility("judged", "BACKWARD")
    client.register_schema("judged", avro(A))
    client.register_schema("judged", avro(A, B))
    needy = {"name": "b", "type": "long"}
    assert client.test_compatibility("judged", avro(A, needy))
    assert not client.test_compatibility("judged", avro(A, needy), version=1)
    assert client.test_compatibility_all_versions("judged", avro(A, needy))
    client.set_compatibility("judged", "BACKWARD_TRANSITIVE")
    assert not client.test_compatibility_all_versions("judged", avro(A, needy), verbose=True)
    path = f"{url}/compatibility/subjects/judged/versions/1"
    body = {"schema": record("R", A, needy)}
    told = requests.post(path, json=body, params={"verbose": "true"}, timeout=60).json()
    assert "b" in told["messages"][0]
    assert code_of(lambda: client.test_compatibility("judged", Schema("{", "AVRO"))) == 42201
    assert not client.test_compatibility("judged", Schema("{", "AVRO"), verbose=True)
