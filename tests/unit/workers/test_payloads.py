"""Large inputs: stored once, bounded in bytes and age, verified, and erased with their person."""

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schemas.checks import INLINE_BYTES
from schemas.errors import InvalidEvent
from schemas.inference import InferenceRequest
from tests.unit.workers.artifact_server import ObjectStore, serving
from workers.client import tensors
from workers.payloads.claims import claimed, is_whole, resolved
from workers.payloads.errors import PayloadLost, PayloadRefused
from workers.payloads.far import Far
from workers.payloads.store import PayloadStore
from workers.settings import ArtifactSettings

HOUR = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> PayloadStore:
    return PayloadStore(tmp_path / "payloads", 10_000, HOUR)


def age(store: PayloadStore, digest: str, seconds: float) -> None:
    path = store.root / digest[:2] / digest
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def test_what_is_stored_twice_stands_once_and_is_young_again(store: PayloadStore) -> None:
    digest = store.put(b"frame")
    assert digest == hashlib.sha256(b"frame").hexdigest()
    age(store, digest, 1000)
    assert store.put(b"frame") == digest
    (kept,) = store.kept()
    assert (kept.size, time.time() - kept.stored_at < 100) == (5, True)
    assert store.get(digest) == b"frame"


def test_a_payload_that_is_missing_damaged_or_no_digest_says_so(store: PayloadStore) -> None:
    digest = store.put(b"frame")
    (store.root / digest[:2] / digest).write_bytes(b"flame")
    with pytest.raises(PayloadLost, match="changed or damaged"):
        store.get(digest)
    with pytest.raises(PayloadLost, match="is not in"):
        store.get("0" * 64)
    with pytest.raises(PayloadLost, match="no SHA-256"):
        store.get("../../etc/passwd")
    assert store.put(b"frame") == digest
    assert store.get(digest) == b"frame", "what was damaged is written again"


def test_the_oldest_goes_when_room_is_needed_and_what_is_over_first(store: PayloadStore) -> None:
    first, second, third = (store.put(bytes([each]) * 3000) for each in (1, 2, 3))
    age(store, first, 60)
    age(store, second, 30)
    fourth = store.put(b"4" * 3000)
    assert [kept.digest for kept in store.kept()] == [second, third, fourth]
    age(store, third, 2 * HOUR)
    cleaned = store.clean()
    assert (cleaned.expired, cleaned.evicted, cleaned.size) == (1, 0, 3000)
    assert {kept.digest for kept in store.kept()} == {second, fourth}
    with pytest.raises(PayloadRefused, match="larger than the store"):
        store.put(b"5" * 10_001)


def test_what_is_kept_of_somebody_goes_and_what_others_share_stays(store: PayloadStore) -> None:
    mine, ours = store.put(b"mine", "ann"), store.put(b"ours", "ann")
    store.put(b"ours", "bob")
    now = time.time()
    assert store.erase("ann", now - 60) == 0, "all of it came later"
    assert store.erase("ann", now + 60) == 1
    assert [kept.digest for kept in store.kept()] == [ours]
    assert store.erase("bob", now + 60) == 1
    assert store.erase("nobody", now) == 0
    with pytest.raises(PayloadLost):
        store.get(mine)
    assert "ann" not in str(list(store.root.rglob("*")))


def test_who_makes_room_forgets_nobody(store: PayloadStore) -> None:
    age(store, store.put(b"old"), 2 * HOUR)
    store._next_look = 0.0
    digest = store.put(b"hers", "ann")
    assert [kept.digest for kept in store.kept()] == [digest], "the old has gone meanwhile"
    assert store.erase("ann", time.time() + 60) == 1


def test_what_could_not_be_erased_far_away_is_erased_when_asked_again(tmp_path: Path) -> None:
    with serving(ObjectStore()) as objects:
        far = Far("s3://bucket/payloads", ArtifactSettings(s3_endpoint=objects.url, attempts=1))
        store = PayloadStore(tmp_path, 10_000, HOUR, far)
        store.put(b"frame", "ann")
        objects.faults.append(-503)
        with pytest.raises(PayloadRefused, match=r"stays: .*503"):
            store.erase("ann", time.time() + 1)
        assert store.erase("ann", time.time() + 1) == 1
        assert (objects.objects, store.kept()) == ({}, [])
        store.put(b"another", "ann")
        objects.faults.append(-404)
        assert store.erase("ann", time.time() + 1) == 1, "who has it no more has not refused"


def test_machines_without_a_shared_folder_meet_in_a_store_far_away(tmp_path: Path) -> None:
    with serving(ObjectStore()) as objects:
        own = ArtifactSettings(s3_endpoint=objects.url, attempts=1)
        far = Far("s3://bucket/payloads", own)
        here, there = (PayloadStore(tmp_path / n, 10_000, HOUR, far) for n in ("here", "there"))
        digest = here.put(b"frame", "ann")
        assert objects.objects == {f"/bucket/payloads/{digest}": b"frame"}
        assert there.get(digest) == b"frame"
        assert [one.digest for one in there.kept()] == [digest]
        here.put(b"frame")
        age(here, digest, HOUR * 0.6)
        here.put(b"frame")
        assert [seen[0] for seen in objects.seen].count("PUT") == 2, "again, before it is over"
        assert here.erase("ann", time.time() + 1) == 1
        assert objects.objects == {}
        with pytest.raises(PayloadLost, match="404"):
            here.get(digest)
        objects.objects[f"/bucket/payloads/{digest}"] = b"forged"
        with pytest.raises(PayloadLost, match="changed or damaged"):
            here.get(digest)
        objects.faults.append(-503)
        with pytest.raises(PayloadRefused, match="503"):
            here.put(b"other")
        assert here.put(b"other") in str(objects.objects), "what failed is tried again"


def request(array: np.ndarray) -> InferenceRequest:
    inputs = tensors({"x": array, "small": np.zeros(3, np.float32)})
    return InferenceRequest(
        request_id="r", app="a", created_at=1, deadline=2, inputs=inputs, user="ann"
    )


def test_a_large_input_goes_by_reference_and_comes_back(tmp_path: Path) -> None:
    store = PayloadStore(tmp_path, 1 << 20, HOUR)
    frame = np.arange(20_000, dtype=np.float32).reshape(100, 200)
    whole = request(frame)
    sent = claimed(whole, store)
    large, small = sent.inputs
    assert (large.data, large.shape, small) == (None, (100, 200), whole.inputs[1])
    assert resolved(sent.inputs, store) == (replace(whole.inputs[0], digest=large.digest), small)
    assert claimed(sent, store) is sent, "nothing is left to store"
    assert not is_whole(sent.inputs)
    assert store.erase("ann", time.time() + 1) == 1
    with pytest.raises(PayloadLost, match="is not in"):
        resolved(sent.inputs, store)


def test_a_reference_that_lies_is_lost(tmp_path: Path) -> None:
    store = PayloadStore(tmp_path, 1 << 20, HOUR)
    (large, _) = claimed(request(np.zeros(INLINE_BYTES, np.float64)), store).inputs
    for wrong in (
        replace(large, shape=(3,)),
        replace(large, digest="0" * 64),
        replace(large, reference="file:///etc/passwd"),
        replace(large, dtype="object"),
    ):
        with pytest.raises(PayloadLost):
            resolved([wrong], store)
    broken = request(np.zeros(INLINE_BYTES, np.float64))
    broken = replace(broken, inputs=(replace(broken.inputs[0], shape=(1,)),))
    with pytest.raises(InvalidEvent, match="bytes where"):
        claimed(broken, store)
