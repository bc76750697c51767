"""Fetches from HTTP servers and S3-compatible stores, and puts objects into the latter.

Nothing here trusts what comes: the caller compares digests. A redirection is followed for plain
HTTP, never for S3, whose signature is for one host.
"""

import contextlib
import http.client
import os
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime, timezone
from email.message import Message
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from workers.artifacts.locations import Location, object_url
from workers.artifacts.signing import EMPTY, Credentials, signed
from workers.artifacts.store import Claim, sha256
from workers.clock import wall_ms
from workers.runtimes.errors import ArtifactMissing
from workers.settings import ArtifactSettings

CHUNK = 1 << 20
STEP = 8 << 20
"""Room is claimed in such steps, in bytes, when a source does not say how much will come."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0


class _Interrupted(Exception):
    """It broke off, or was refused for the moment; the message says why."""


class _NotThere(ArtifactMissing):
    """The source answers, and has no such thing."""


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the answer is an error."""


class Remote:
    """What is reached over HTTP, with the settings' credentials for S3."""

    def __init__(self, settings: ArtifactSettings) -> None:
        self._settings = settings
        self._following = _opener(urllib.request.HTTPRedirectHandler())
        self._staying = _opener(_Stay())

    def download(self, location: Location, file: BinaryIO, claim: Claim) -> None:
        """Complete a file, from where it ends, if the source can do that.

        Raises ArtifactMissing when it is not there, refused, or broke off too often in a row.
        """
        idle = 0
        while True:
            before = file.seek(0, os.SEEK_END)
            try:
                self._fetch(location, file, claim)
            except _Interrupted as error:
                idle = 1 if file.seek(0, os.SEEK_END) > before else idle + 1
                self._rest(location, idle, error)
            else:
                return

    def upload(self, path: Path, location: Location) -> None:
        """Put a file into an S3-compatible store, whole. Raises ArtifactMissing."""
        size = str(path.stat().st_size)
        headers = {"Content-Length": size, "Content-Type": "application/octet-stream"}
        digest = sha256(path)

        def put() -> None:
            with path.open("rb") as file:
                request = self._request("PUT", location, dict(headers), digest, file)
                self._open(location, request).close()

        self._insist(location, put)

    def remove(self, location: Location) -> None:
        """Remove an object of an S3-compatible store, if it is there.

        Raises ArtifactMissing when the store refuses, or cannot be reached.
        """

        def delete() -> None:
            with contextlib.suppress(_NotThere):  # where others than S3 say so
                self._open(location, self._request("DELETE", location, {})).close()

        self._insist(location, delete)

    def _insist(self, location: Location, act: Callable[[], None]) -> None:
        """Do something again while it breaks off. Raises ArtifactMissing."""
        idle = 0
        while True:
            try:
                return act()
            except _Interrupted as error:
                idle += 1
                self._rest(location, idle, error)

    def _rest(self, location: Location, idle: int, error: _Interrupted) -> None:
        if idle >= self._settings.attempts:
            raise ArtifactMissing(f"{_shown(location)}: {error}; tried {idle} times") from error
        time.sleep(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (idle - 1)))

    def _fetch(self, location: Location, file: BinaryIO, claim: Claim) -> None:
        have = file.seek(0, os.SEEK_END)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            answer = self._open(location, self._request("GET", location, headers))
        except _Unsatisfiable as error:
            file.truncate(0)
            raise _Interrupted(str(error)) from error
        with answer:
            if have and not _continues(answer.headers, answer.status, have):
                file.truncate(0)
                have = 0
            length = _length(answer.headers)
            _copy(answer, file, claim, have, None if length is None else have + length)

    def _request(
        self,
        method: str,
        location: Location,
        headers: dict[str, str],
        digest: str = EMPTY,
        body: BinaryIO | None = None,
    ) -> urllib.request.Request:
        if location.scheme != "s3":
            if "@" in urlsplit(location.uri).netloc:
                raise ArtifactMissing(f"{_shown(location)}: a URI takes no name and password")
            return _made(location.uri, method, headers, body)
        own = self._settings
        url = object_url(location, own.s3_endpoint, own.s3_region)
        if own.s3_access_key:
            who = Credentials(
                own.s3_access_key,
                own.s3_secret_key.get_secret_value(),
                own.s3_session_token.get_secret_value(),
            )
            now = datetime.fromtimestamp(wall_ms() / 1000, timezone.utc)
            stamp = now.strftime("%Y%m%dT%H%M%SZ")
            headers = signed(method, url, headers, digest, who, own.s3_region, stamp)
        return _made(url, method, headers, body)

    def _open(self, location: Location, request: urllib.request.Request) -> Any:
        opener = self._staying if location.scheme == "s3" else self._following
        try:
            return opener.open(request, timeout=self._settings.timeout_s)
        except HTTPError as error:
            with error:
                raise _refusal(location, error) from error
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            raise _Interrupted(str(reason) or type(error).__name__) from error
        except ValueError as error:  # a host that is no name
            raise ArtifactMissing(f"{_shown(location)}: {error}") from error


class _Unsatisfiable(_Interrupted):
    """The source has no more bytes than are there already: they may be of something else."""


def _copy(answer: Any, file: BinaryIO, claim: Claim, have: int, total: int | None) -> None:
    """Append what comes. Raises _Interrupted when it is less than was promised."""
    claimed = have if total is None else total
    claim(claimed)
    while True:
        try:
            chunk = answer.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(str(error) or type(error).__name__) from error
        if not chunk:
            break
        have += len(chunk)
        if have > claimed:
            claimed = have + STEP
            claim(claimed)
        file.write(chunk)
    if total is not None and have < total:
        raise _Interrupted(f"{have} of {total} bytes came")


def _length(headers: Message) -> int | None:
    """Return how many bytes an answer promises; None when it does not say so in plain digits."""
    told = headers.get("Content-Length", "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else None


def _continues(headers: Message, status: int, have: int) -> bool:
    """Tell whether an answer begins where a file ends."""
    return status == 206 and headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _refusal(location: Location, error: HTTPError) -> Exception:
    told = f"{_shown(location)}: {error.code} {error.reason}".rstrip()
    if error.code == 416:
        return _Unsatisfiable(f"{error.code} {error.reason}")
    if error.code in (408, 425, 429) or error.code >= 500:
        return _Interrupted(f"{error.code} {error.reason}".rstrip())
    if error.code in (404, 410):
        return _NotThere(told)
    if error.code in (401, 403):
        hint = "see WEIR_ARTIFACTS__S3_ACCESS_KEY" if location.scheme == "s3" else "it is protected"
        return ArtifactMissing(f"{told}; {hint}")
    if 300 <= error.code < 400:
        return ArtifactMissing(f"{told}; see WEIR_ARTIFACTS__S3_ENDPOINT and S3_REGION")
    return ArtifactMissing(told)


def _made(
    url: str, method: str, headers: dict[str, str], body: BinaryIO | None
) -> urllib.request.Request:
    return urllib.request.Request(  # noqa: S310 - `_opener` knows HTTP alone
        url, body, headers, method=method
    )


def _opener(redirection: urllib.request.HTTPRedirectHandler) -> urllib.request.OpenerDirector:
    """Return an opener of http and https alone: no redirection leads to files or FTP."""
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        redirection,
        urllib.request.HTTPErrorProcessor(),
    ):
        director.add_handler(handler)
    return director


def _shown(location: Location) -> str:
    """Return the URI without its query, which may be a signature, or a password."""
    parts = urlsplit(location.uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
