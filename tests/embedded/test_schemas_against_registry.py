"""`weir schemas check --against` and `register`, with the embedded registry."""

import json
from contextlib import closing

import requests
from typer.testing import CliRunner

from schemas import files, topics
from schemas.observing import MetricReport
from streams.commands.schemas import app
from tests.embedded.conftest import Server
from workers.registry import Registry
from workers.settings import RegistrySettings

RUN = CliRunner()


def test_registered_schemas_are_compatible_with_themselves(registry: Server) -> None:
    url = f"http://127.0.0.1:{registry.port}"
    environment = {"WEIR_REGISTRY__URL": url}
    first = RUN.invoke(app, ["register", "--json"], env=environment)
    again = RUN.invoke(app, ["register", "--json"], env=environment)
    assert first.exit_code == again.exit_code == 0
    assert json.loads(first.output) == json.loads(again.output)
    assert len(json.loads(first.output)) == len(files.records())
    result = RUN.invoke(app, ["check", "--against", url])
    assert result.exit_code == 0, result.output
    with closing(Registry(RegistrySettings(url=url))) as client:
        held = client.history(MetricReport)
    assert [json.loads(text) for text in held] == [files.schema("MetricReport")]


def test_what_the_registry_holds_must_be_compatible(registry: Server) -> None:
    url = f"http://127.0.0.1:{registry.port}"
    subject = topics.subject_of(MetricReport)
    schema = files.schema("MetricReport")
    schema["fields"] = [f for f in schema["fields"] if f["name"] != "value"]
    schema["fields"].append({"name": "amount", "type": "double"})
    requests.put(f"{url}/config/{subject}", json={"compatibility": "NONE"}, timeout=60)
    registered = requests.post(
        f"{url}/subjects/{subject}/versions", json={"schema": json.dumps(schema)}, timeout=5
    )
    assert registered.ok, registered.text
    result = RUN.invoke(app, ["check", "MetricReport", "--against", url])
    assert result.exit_code == 4
    assert "MetricReport: registry: the new schema cannot read old data" in result.output
    version = requests.get(f"{url}/subjects/{subject}/versions/latest", timeout=60).json()[
        "version"
    ]
    requests.delete(f"{url}/subjects/{subject}/versions/{version}", timeout=60)
    requests.put(f"{url}/config/{subject}", json={"compatibility": "FULL_TRANSITIVE"}, timeout=60)
