"""Artifacts: fetched whole or not at all, resumed, verified, kept by digest within bounds."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.unit.workers.artifact_server import ObjectStore, serving
from workers.artifacts import remote
from workers.artifacts.locations import Location, object_url, parsed
from workers.artifacts.obtaining import Artifacts
from workers.artifacts.signing import EMPTY, Credentials, signed
from workers.artifacts.store import Store
from workers.runtimes.errors import ArtifactMissing, ArtifactTooLarge, DigestMismatch
from workers.settings import ArtifactSettings

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    monkeypatch.setattr(remote, "FIRST_PAUSE_S", 0.001)
    with serving(ObjectStore({"/a.onnx": CONTENT, "/models/a%20b.onnx": CONTENT})) as store:
        yield store


def artifacts(root: Path, limit: int = 1 << 20, **settings: object) -> Artifacts:
    return Artifacts(ArtifactSettings(**settings), Store(root, limit))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {"Range": "bytes=0-9"},
            EMPTY,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test%24file.text",
            {
                "Date": "Fri, 24 May 2013 00:00:00 GMT",
                "x-amz-storage-class": "REDUCED_REDUNDANCY",
            },
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/?lifecycle",
            {},
            EMPTY,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/?max-keys=2&prefix=J",
            {},
            EMPTY,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_are_those_of_the_published_examples(
    method: str, path: str, headers: dict[str, str], body: str, signature: str
) -> None:
    who = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    url = f"https://examplebucket.s3.amazonaws.com{path}"
    found = signed(method, url, headers, body, who, "us-east-1", "20130524T000000Z")
    assert found["Authorization"].endswith(f"Signature={signature}")
    assert "x-amz-security-token" not in found


def test_a_uri_says_where_and_perhaps_what() -> None:
    assert parsed("file:///a%20b.onnx") == Location("file:///a%20b.onnx", "file", "/a b.onnx")
    assert parsed("models/a#1?.onnx").path == "models/a#1?.onnx"
    found = parsed(f"s3://weir/models/a%20b.onnx#sha256={DIGEST.upper()}")
    assert (found.bucket, found.path, found.digest) == ("weir", "models/a b.onnx", DIGEST)
    assert (
        object_url(found, "http://minio:9000/", "x") == "http://minio:9000/weir/models/a%20b.onnx"
    )
    assert object_url(found, "", "eu-west-1").startswith("https://s3.eu-west-1.amazonaws.com/weir/")


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("", "give a file, http"),
        ("ftp://h/a", "give a file, http"),
        ("file://elsewhere/a", "give a file, http"),
        ("https:///a", "names no host"),
        ("s3:///key", "names no bucket"),
        ("s3://bucket/", "names no key"),
        ("https://h/a#md5=0", "sha256= and 64"),
        ("http://[::1/a", "is no URI"),
    ],
)
def test_what_cannot_be_fetched_says_why(uri: str, why: str) -> None:
    with pytest.raises(ArtifactMissing, match=why):
        parsed(uri)


def test_what_is_fetched_once_needs_its_source_no_more(
    objects: ObjectStore, tmp_path: Path
) -> None:
    own = artifacts(tmp_path)
    held, digest = own.obtain(f"{objects.url}/a.onnx?sig=secret", DIGEST.upper())
    assert (digest, held.path.read_bytes()) == (DIGEST, CONTENT)
    objects.objects.clear()
    again, _ = own.obtain(f"{objects.url}/a.onnx#sha256={DIGEST}", None)
    assert again.path == held.path
    assert len(objects.seen) == 1
    assert held.path.stat().st_mode & 0o222 == 0


def test_a_broken_fetch_goes_on_where_it_stopped(objects: ObjectStore, tmp_path: Path) -> None:
    objects.faults += [4000, -503, 3000, 0]
    held, _ = artifacts(tmp_path, attempts=3).obtain(f"{objects.url}/a.onnx", DIGEST)
    assert held.path.read_bytes() == CONTENT
    ranges = [headers.get("range") for _, _, headers in objects.seen]
    assert ranges == [None, "bytes=4000-", "bytes=4000-", "bytes=7000-", "bytes=7000-"]


def test_another_process_goes_on_too_and_without_ranges_it_begins_again(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.faults += [4000, 0]
    with pytest.raises(ArtifactMissing, match=r"4000 of 10240 bytes came; tried 2 times"):
        artifacts(tmp_path, attempts=2).obtain(f"{objects.url}/a.onnx", DIGEST)
    assert (tmp_path / f"{DIGEST}.part").stat().st_size == 4000
    objects.ranges = False
    held, _ = artifacts(tmp_path).obtain(f"{objects.url}/a.onnx", DIGEST)
    assert held.path.read_bytes() == CONTENT
    assert len(objects.seen) == 3


@pytest.mark.parametrize("begun", [b"of another file", CONTENT + b"more", CONTENT])
def test_a_beginning_that_does_not_fit_is_thrown_away(
    objects: ObjectStore, tmp_path: Path, begun: bytes
) -> None:
    (tmp_path / f"{DIGEST}.part").write_bytes(begun)
    held, _ = artifacts(tmp_path).obtain(f"{objects.url}/a.onnx", DIGEST)
    assert held.path.read_bytes() == CONTENT


def test_what_is_something_else_is_refused_and_not_kept(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.objects["/a.onnx"] = CONTENT[::-1]
    with pytest.raises(DigestMismatch, match=rf"a\.onnx: SHA-256 is .*registered is {DIGEST[:12]}"):
        artifacts(tmp_path).obtain(f"{objects.url}/a.onnx?sig=secret", DIGEST)
    assert Store(tmp_path, 1).entries() == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"objects": {}}, r"a\.onnx: 404 Not Found$"),
        ({"faults": [-403]}, "403 Forbidden; it is protected"),
        ({"faults": [-503, -503]}, "503 Service Unavailable; tried 2 times"),
        ({"redirect": "file:///etc/passwd"}, "302"),
    ],
)
def test_sources_that_give_nothing_are_told(
    objects: ObjectStore, tmp_path: Path, change: dict[str, object], why: str
) -> None:
    for name, value in change.items():
        setattr(objects, name, value)
    with pytest.raises(ArtifactMissing, match=why) as told:
        artifacts(tmp_path, attempts=2).obtain(f"{objects.url}/a.onnx?sig=secret", DIGEST)
    assert "secret" not in str(told.value)


def test_a_redirection_of_plain_http_is_followed(objects: ObjectStore, tmp_path: Path) -> None:
    objects.redirect = f"{objects.url}/a.onnx"
    held, _ = artifacts(tmp_path).obtain(f"{objects.url}/latest", DIGEST)
    assert held.path.read_bytes() == CONTENT


def test_hosts_and_folders_that_cannot_be_are_told(tmp_path: Path) -> None:
    own = artifacts(tmp_path, attempts=1)
    for host in ("a" * 64 + ".b", "127.0.0.1:99999", "h o"):
        with pytest.raises(ArtifactMissing):
            own.obtain(f"http://{host}/a.onnx", DIGEST)
    (tmp_path / DIGEST).symlink_to(tmp_path / DIGEST)
    with pytest.raises(ArtifactMissing, match=DIGEST):
        own.obtain("http://127.0.0.1:9/a.onnx", DIGEST)


def test_what_is_remote_needs_a_digest_and_no_password(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="needs its SHA-256"):
        artifacts(tmp_path).obtain("https://h/a.onnx", None)
    with pytest.raises(ArtifactMissing, match="takes no name and password") as told:
        artifacts(tmp_path).obtain("https://me:secret@h/a.onnx", DIGEST)
    assert "secret" not in str(told.value)


def test_objects_of_s3_are_asked_for_with_a_signature(objects: ObjectStore, tmp_path: Path) -> None:
    own = artifacts(
        tmp_path,
        s3_endpoint=objects.url,
        s3_access_key="me",
        s3_secret_key=SecretStr("secret"),
        s3_session_token=SecretStr("token"),
        s3_region="eu-1",
    )
    objects.faults += [4000]
    held, _ = own.obtain("s3://models/a b.onnx", DIGEST)
    assert held.path.read_bytes() == CONTENT
    for _, path, headers in objects.seen:
        asked = {"Accept-Encoding": "identity"}
        asked |= {"Range": headers["range"]} if "range" in headers else {}
        who, stamp = Credentials("me", "secret", "token"), headers["x-amz-date"]
        expected = signed("GET", objects.url + path, asked, EMPTY, who, "eu-1", stamp)
        assert headers["authorization"] == expected["Authorization"]
        assert headers["x-amz-security-token"] == "token"


def test_s3_follows_no_redirection_and_says_what_to_look_at(
    objects: ObjectStore, tmp_path: Path
) -> None:
    own = artifacts(tmp_path, s3_endpoint=objects.url)
    objects.redirect = f"{objects.url}/a.onnx"
    with pytest.raises(ArtifactMissing, match="WEIR_ARTIFACTS__S3_ENDPOINT"):
        own.obtain("s3://b/k", DIGEST)
    objects.redirect = ""
    objects.faults += [-403]
    with pytest.raises(ArtifactMissing, match="403 Forbidden; see WEIR_ARTIFACTS__S3_ACCESS_KEY"):
        own.obtain("s3://b/k", DIGEST)


def filled(store: Store, number: int, size: int = 100) -> str:
    """Put something of `size` bytes into a store, and let go of it."""
    content = number.to_bytes(4, "big") * (size // 4)
    digest = hashlib.sha256(content).hexdigest()

    def download(file: object, claim: object) -> None:
        claim(size)  # type: ignore[operator]
        file.write(content)  # type: ignore[attr-defined]

    store.fill(digest, download).close()
    return digest


def test_the_least_recently_used_makes_room_but_never_what_is_held(tmp_path: Path) -> None:
    store = Store(tmp_path, 300)
    first, second, third = (filled(store, number) for number in range(3))
    held = store.hold(first)
    assert held is not None
    used = store.hold(second)
    assert used is not None
    used.close()
    fourth = filled(store, 3)
    assert {entry.digest for entry in store.entries()} == {first, second, fourth}
    assert [entry.digest for entry in store.entries() if entry.held] == [first]
    with pytest.raises(ArtifactTooLarge, match="300 bytes do not fit: 100 of 300 are in use"):
        filled(store, 4, 300)
    assert {entry.digest for entry in store.entries()} == {first, second, fourth}
    held.close()
    held.close()
    assert {entry.digest for entry in store.prune(0)} == {first, second, fourth}
    assert store.hold(third) is None


def test_too_large_for_the_store_costs_the_others_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, 300)
    kept = filled(store, 1)
    with pytest.raises(ArtifactTooLarge, match="304 bytes do not fit"):
        filled(store, 2, 304)
    assert [entry.digest for entry in store.entries()] == [kept]


def test_a_source_that_does_not_say_how_much_comes_is_bounded_too(
    objects: ObjectStore, tmp_path: Path
) -> None:
    objects.lengths = False
    with pytest.raises(ArtifactTooLarge):
        artifacts(tmp_path, limit=5000).obtain(f"{objects.url}/a.onnx", DIGEST)
    held, _ = artifacts(tmp_path, limit=1 << 30).obtain(f"{objects.url}/a.onnx", DIGEST)
    assert held.path.read_bytes() == CONTENT


def test_a_file_that_was_damaged_on_disk_is_fetched_again(
    objects: ObjectStore, tmp_path: Path
) -> None:
    own = artifacts(tmp_path)
    held, _ = own.obtain(f"{objects.url}/a.onnx", DIGEST)
    held.close()
    held.path.chmod(0o644)
    held.path.write_bytes(b"damaged")
    again, _ = own.obtain(f"{objects.url}/a.onnx", DIGEST)
    assert again.path.read_bytes() == CONTENT


def test_many_that_want_the_same_fetch_it_once(objects: ObjectStore, tmp_path: Path) -> None:
    found: list[bytes] = []

    def want() -> None:
        held, _ = artifacts(tmp_path).obtain(f"{objects.url}/a.onnx", DIGEST)
        found.append(held.path.read_bytes())

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 8
    assert len(objects.seen) == 1


HOLDER = """
import sys
from pathlib import Path
from workers.artifacts.store import Store
held = Store(Path(sys.argv[1]), 300).hold(sys.argv[2])
print("held" if held else "gone", flush=True)
sys.stdin.read()
"""


def test_what_another_process_holds_stays_until_it_ends(tmp_path: Path) -> None:
    store = Store(tmp_path, 300)
    digest = filled(store, 1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), digest],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert store.prune(0) == []
        other.kill()
        other.wait()
    assert [entry.digest for entry in store.prune(0)] == [digest]


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactMissing, match=r"file.*WEIR_ARTIFACTS__CACHE"):
        filled(Store(tmp_path / "file", 300), 1)
