"""Where an artifact stands, as its URI says.

A URI may carry the SHA-256 of what it names: `https://host/a.onnx#sha256=<64 digits>`.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urldefrag, urlsplit

from workers.runtimes.errors import ArtifactMissing

REMOTE = ("http", "https", "s3")
SCHEMES = ("file", *REMOTE)
_SHA256 = re.compile(r"sha256=([0-9A-Fa-f]{64})")


@dataclass(frozen=True, slots=True)
class Location:
    """A parsed URI, without its fragment; `digest` is the SHA-256 that it carried, or None.

    `bucket` is that of s3, else empty; `path` is a decoded path or key.
    """

    uri: str
    scheme: str
    path: str
    bucket: str = ""
    digest: str | None = None


def parsed(uri: str) -> Location:
    """Return what a URI or a plain path names. Raises ArtifactMissing for what cannot be fetched.

    A plain path is taken as it is, whatever characters it has.
    """
    if uri and "://" not in uri and not uri.startswith("file:"):
        return Location(uri, "file", uri)
    plain, fragment = urldefrag(uri)
    try:
        parts = urlsplit(plain)
    except ValueError as error:
        raise ArtifactMissing(f"{uri!r} is no URI: {error}") from error
    if parts.scheme not in SCHEMES:
        raise _unknown(uri)
    path = unquote(parts.path)
    digest = _digest(uri, fragment)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise _unknown(uri)
        return Location(plain, "file", path, digest=digest)
    if not parts.netloc:
        raise ArtifactMissing(f"{uri!r} names no {'bucket' if parts.scheme == 's3' else 'host'}")
    if parts.scheme == "s3":
        key = path.removeprefix("/")
        if not key:
            raise ArtifactMissing(f"{uri!r} names no key; write s3://bucket/key")
        return Location(plain, "s3", key, parts.netloc, digest)
    return Location(plain, parts.scheme, path, digest=digest)


def object_url(location: Location, endpoint: str, region: str) -> str:
    """Return the URL of an S3 object, its bucket in the path, as every S3-compatible store takes.

    An empty endpoint is Amazon's in the region.
    """
    base = endpoint.rstrip("/") or f"https://s3.{region}.amazonaws.com"
    return f"{base}/{quote(location.bucket, safe='')}/{quote(location.path, safe='/~')}"


def _digest(uri: str, fragment: str) -> str | None:
    if not fragment:
        return None
    found = _SHA256.fullmatch(fragment)
    if found is None:
        raise ArtifactMissing(
            f"{uri!r}: behind '#' stands sha256= and 64 hexadecimal digits, or nothing"
        )
    return found[1].lower()


def _unknown(uri: str) -> ArtifactMissing:
    return ArtifactMissing(
        f"{uri!r} cannot be fetched by this worker; give a file, http, https or s3 URI"
    )
