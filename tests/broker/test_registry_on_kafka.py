"""The registry's records on Apache Kafka: killed and started again, it knows what it knew."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from schemas.observing import MetricReport
from streams.embedded.apache import Apache
from tests.embedded.conftest import Server
from workers.registry import Registry
from workers.settings import RegistrySettings


def avro(name: str, *fields: dict[str, Any]) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)})


def told(port: int) -> object:
    """Everything that a registry says of its subjects."""
    with SchemaRegistryClient({"url": f"http://127.0.0.1:{port}"}) as client:
        names = client.get_subjects(deleted=True)
        versions = {name: client.get_versions(name, deleted=True) for name in names}
        held = [client.get_version(n, v, deleted=True) for n, vs in versions.items() for v in vs]
        return names, client.get_subjects(), held, client.get_config()


def test_a_killed_registry_comes_back_from_its_topic(apache: Apache, tmp_path: Path) -> None:
    server = Server("streams.embedded.registry", (), tmp_path / "registry.log")
    server.start(WEIR_KAFKA__BOOTSTRAP=apache.bootstrap)
    try:
        url = f"http://127.0.0.1:{server.port}"
        ours = Registry(RegistrySettings(url=url))
        ids = ours.register_all()
        part, whole = avro("p.Part"), avro("Whole", {"name": "part", "type": "p.Part"})
        with SchemaRegistryClient({"url": url}) as client:
            client.register_schema("part", Schema(part, "AVRO"))
            reference = SchemaReference("p.Part", "part", 1)
            referring = client.register_schema("whole", Schema(whole, "AVRO", [reference]))
            client.register_schema("gone", Schema(avro("Gone"), "AVRO"))
            client.delete_subject("gone")
        with ThreadPoolExecutor(4) as pool:
            clients = [SchemaRegistryClient({"url": url}) for _ in range(4)]
            raced = Schema(avro("Raced"), "AVRO")
            got = list(pool.map(lambda one: one.register_schema("raced", raced), clients))
            for one in clients:
                one.close()
        assert len(set(got)) == 1
        assert '"name":"p.Part"' in ours.schema_of(referring)
        before = told(server.port)
        server.kill()
        server.start(WEIR_KAFKA__BOOTSTRAP=apache.bootstrap)
        assert told(server.port) == before
        again = Registry(RegistrySettings(url=f"http://127.0.0.1:{server.port}"))
        assert again.id_of(MetricReport) == ids[MetricReport]
        again.close()
        ours.close()
    finally:
        server.stop()
