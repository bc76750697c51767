"""kcat, and the C libraries that it is made of, read what is written over the embedded registry.

On Apache Kafka: the librdkafka 2.0.2 of Debian's kcat cannot read the embedded broker's list of
what it supports; newer ones can.
"""

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Never
from urllib.request import Request, urlopen

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas import codec, files, introspect
from schemas.base import Event
from schemas.events import EVENTS
from streams.embedded.apache import Apache
from tests.broker.avro_c import AvroC
from tests.embedded.conftest import Server
from tests.embedded.registry_world import A, B, Client, record
from tests.examples import example

AS_LIBSERDES = {
    "Accept": "application/vnd.schemaregistry.v1+json",
    "Content-Type": "application/vnd.schemaregistry.v1+json",
    "User-Agent": "libserdes",
}
"""How the library that kcat asks registries with does it (libserdes, src/rest.c)."""
SENT: list[dict[str, object]] = [{"a": "x"}, {"a": "y", "b": 2}, {"a": "z"}]


def missing(what: str) -> Never:
    """Skip where a Debian package is not installed; on CI it has to be."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} must be installed here")
    pytest.skip(what)


@cache
def kcat() -> str:
    found = shutil.which("kcat")
    return found or missing("kcat is not installed: apt-get install kcat")


def library() -> AvroC:
    try:
        return AvroC()
    except OSError:
        missing("Avro's C library is not installed: apt-get install libavro23")


def run(*arguments: str) -> bytes:
    done = subprocess.run([kcat(), *arguments], check=False, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def url(apache: Apache, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("kcat") / "registry.log"
    server = Server("streams.embedded.registry", (), log)
    server.start(WEIR_KAFKA__BOOTSTRAP=apache.bootstrap)
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def written(apache: Apache, url: str, topic: str) -> tuple[str, ...]:
    """Write records of two versions by Confluent's serializer; return how kcat reads them."""
    admin = AdminClient({"bootstrap.servers": apache.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    producer = Producer({"bootstrap.servers": apache.bootstrap})
    with Client({"url": url}) as client:
        for value in SENT:
            text = record("Row", A, B) if "b" in value else record("Row", A)
            context = SerializationContext(topic, MessageField.VALUE)
            producer.produce(topic, AvroSerializer(client, text)(value, context), key="k")
    assert producer.flush(120) == 0
    return ("-b", apache.bootstrap, "-C", "-t", topic, "-o", "beginning", "-e", "-q")


def test_kcat_decodes_avro_by_the_registry(apache: Apache, url: str) -> None:
    if "Avro" not in run("-V").decode().partition("(")[2]:
        pytest.skip("kcat is built without Avro, as Debian's is; the test below does its steps")
    consume = written(apache, url, "kcat-avro")
    lines = run(*consume, "-s", "value=avro", "-r", url).decode().splitlines()
    assert [json.loads(line) for line in lines] == SENT


def test_what_kcat_reads_is_decoded_by_its_libraries(apache: Apache, url: str) -> None:
    avro, values = library(), []
    output = run(*written(apache, url, "kcat-plain"), "-f", "%R%s")
    while output:
        (length,) = struct.unpack(">i", output[:4])
        values.append(output[4 : 4 + length])
        output = output[4 + length :]
    assert [avro.decode(*fetched(url, value)) for value in values] == SENT


def fetched(url: str, value: bytes) -> tuple[str, bytes]:
    """The schema of a framed value, asked for as kcat does, and the body."""
    path = f"{url}/schemas/ids/{codec.schema_id_of(value)}"
    with urlopen(Request(path, headers=AS_LIBSERDES), timeout=60) as answer:
        return str(json.load(answer)["schema"]), value[5:]


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_the_c_library_reads_every_contract(event: type[Event]) -> None:
    sample = example(event)
    read = library().decode(files.text(event.__name__), codec.pack(sample))
    assert list(read) == [field["name"] for field in files.schema(event.__name__)["fields"]]
    texts = {k: v for k, v in introspect.to_plain(event)(sample).items() if isinstance(v, str)}
    assert {name: read[name] for name in texts if isinstance(read[name], str)} == {
        name: text for name, text in texts.items() if isinstance(read[name], str)
    }
