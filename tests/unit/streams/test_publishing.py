"""Publishing a model: looked at, put in place, described, and never the same version twice."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.graphs import TensorSpec
from schemas.records import KeyValue
from streams.errors import RegistrationError
from streams.publishing import Publication, publish
from tests.unit.workers.artifact_server import ObjectStore, serving
from tests.unit.workers.tiny_models import classifier
from workers.artifacts.obtaining import artifacts_of
from workers.runtimes.base import Runtime
from workers.runtimes.http_services import OpenInference
from workers.runtimes.onnx import OnnxRuntime
from workers.settings import ArtifactSettings, Settings

RUNTIMES: dict[str, Runtime] = {"onnx": OnnxRuntime(), "open-inference": OpenInference()}


@pytest.fixture
def wanted(tmp_path: Path) -> Publication:
    return Publication(
        model="digits",
        version="3",
        artifact=str(classifier(tmp_path / "a b.onnx")),
        digest=None,
        format="onnx",
        store="",
        provenance={"data": "optdigits"},
    )


@pytest.fixture
def objects() -> Iterator[ObjectStore]:
    with serving(ObjectStore()) as store:
        yield store


def test_a_file_that_stays_is_described(wanted: Publication, tmp_path: Path) -> None:
    event = publish(wanted, None, RUNTIMES, Settings(data_dir=tmp_path), 5)
    assert event.uri == (tmp_path / "a b.onnx").as_uri()
    assert event.digest == hashlib.sha256((tmp_path / "a b.onnx").read_bytes()).hexdigest()
    assert event.inputs == (TensorSpec(name="x", dtype="float32", shape=(-1, 3)),)
    assert [spec.dtype for spec in event.outputs] == ["int64", "float32"]
    assert event.provenance == (KeyValue(key="data", value="optdigits"),)
    again = publish(wanted, None, RUNTIMES, Settings(data_dir=tmp_path), 6)
    assert (again.event_id, again.published_at) == (event.event_id, 6)


def test_a_file_is_put_into_a_folder(wanted: Publication, tmp_path: Path) -> None:
    store = tmp_path / "models"
    event = publish(
        replace(wanted, store=str(store)), None, RUNTIMES, Settings(data_dir=tmp_path), 5
    )
    assert event.uri == (store / "digits" / "3.onnx").as_uri()
    assert [path.name for path in (store / "digits").iterdir()] == ["3.onnx"]


def test_what_is_put_into_a_store_can_be_fetched_from_it(
    wanted: Publication, objects: ObjectStore, tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path, artifacts=ArtifactSettings(s3_endpoint=objects.url, s3_access_key="me")
    )
    event = publish(replace(wanted, store="s3://weir/m/"), None, RUNTIMES, settings, 5)
    assert event.uri == "s3://weir/m/digits/3.onnx"
    sent = objects.seen[0][2]
    assert sent["x-amz-content-sha256"] == event.digest
    held, digest = artifacts_of(settings).obtain(event.uri, event.digest)
    assert digest == event.digest
    held.close()
    fetched = replace(wanted, artifact=event.uri, digest=event.digest)
    assert publish(fetched, None, RUNTIMES, settings, 5).uri == event.uri


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": "a/b"}, "model 'a/b': use up to 63"),
        ({"version": ""}, "version '': use up to 63"),
        ({"artifact": "nowhere.onnx"}, "model digits: nowhere.onnx: No such file"),
        ({"format": "plan"}, "'plan' has no runtime here; known: onnx"),
        ({"format": "open-inference"}, "has no file to publish"),
        ({"store": "https://host/models"}, "give a folder or s3://bucket/prefix"),
        ({"digest": "0" * 64}, "registered is 000000000000"),
        ({"digest": "0" * 63}, "a SHA-256 is 64 hexadecimal digits"),
    ],
)
def test_what_cannot_be_published_says_why(
    wanted: Publication, tmp_path: Path, change: dict[str, str], why: str
) -> None:
    with pytest.raises(RegistrationError, match=why):
        publish(replace(wanted, **change), None, RUNTIMES, Settings(data_dir=tmp_path), 5)  # type: ignore[arg-type]


def test_a_file_that_is_no_model_is_not_published(wanted: Publication, tmp_path: Path) -> None:
    Path(wanted.artifact).write_bytes(b"nonsense")
    with pytest.raises(RegistrationError, match=r"model digits: .*a b\.onnx"):
        publish(wanted, None, RUNTIMES, Settings(data_dir=tmp_path), 5)


def test_a_version_does_not_become_another_file(wanted: Publication, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    stored = replace(wanted, store=str(tmp_path / "models"))
    first = publish(stored, None, RUNTIMES, settings, 5)
    assert publish(stored, first, RUNTIMES, settings, 6).event_id == first.event_id
    classifier(Path(wanted.artifact), 2.0)
    with pytest.raises(RegistrationError, match=f"published with SHA-256 {first.digest[:12]}"):
        publish(stored, first, RUNTIMES, settings, 7)
    assert hashlib.sha256(Path(first.uri[7:]).read_bytes()).hexdigest() == first.digest
    second = publish(replace(stored, version="4"), first, RUNTIMES, settings, 8)
    assert second.digest != first.digest
