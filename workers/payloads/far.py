"""Payloads in an S3-compatible store, by their SHA-256 below one prefix.

For machines that share no folder: who stores a payload puts it there, who lacks it fetches it. How
long it stays there is the store's to say, by a rule of its own for the prefix (a day, at least).
"""

from pathlib import Path
from typing import BinaryIO

from workers.artifacts.locations import Location, parsed
from workers.artifacts.remote import Remote
from workers.payloads.errors import PayloadLost, PayloadRefused
from workers.runtimes.errors import ArtifactMissing, ArtifactTooLarge
from workers.settings import ArtifactSettings


class Far:
    """Payloads below a prefix such as s3://bucket/payloads."""

    def __init__(self, prefix: str, settings: ArtifactSettings) -> None:
        self._prefix = prefix.rstrip("/")
        self._remote = Remote(settings)

    def put(self, path: Path) -> None:
        """Put a file, called by its digest, into the store. Raises PayloadRefused."""
        try:
            self._remote.upload(path, self._at(path.name))
        except ArtifactMissing as error:
            raise PayloadRefused(f"payload {path.name[:12]}…: {error}") from error

    def get(self, digest: str, file: BinaryIO, most: int) -> None:
        """Write a payload of at most so many bytes into a file. Raises PayloadLost."""

        def claim(size: int) -> None:
            if size > most:
                raise ArtifactTooLarge(f"{size} bytes; the local store takes {most}")

        try:
            self._remote.download(self._at(digest), file, claim)
        except (ArtifactMissing, ArtifactTooLarge) as error:
            raise PayloadLost(f"payload {digest[:12]}…: {error}") from error

    def remove(self, digest: str) -> None:
        """Remove a payload, if it is there. Raises PayloadRefused when the store does not."""
        try:
            self._remote.remove(self._at(digest))
        except ArtifactMissing as error:
            raise PayloadRefused(f"payload {digest[:12]}… stays: {error}") from error

    def _at(self, digest: str) -> Location:
        return parsed(f"{self._prefix}/{digest}")
