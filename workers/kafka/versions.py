"""Which requests a broker knows: one ApiVersions request over a connection of its own.

No client library tells them. The request is answered before anybody logs in.
Source: https://kafka.apache.org/protocol, ApiVersions version 0.
"""

import socket
import ssl
import struct
from collections.abc import Mapping

from workers.errors import KafkaUnavailable
from workers.settings import KafkaSettings

API_VERSIONS = 18
_CONNECT_S = 5.0
_REQUEST = struct.pack(">hhih", API_VERSIONS, 0, 1, -1)
"""Key, version 0, correlation id 1, no client id."""
_LONGEST = 65_536

Apis = Mapping[int, tuple[int, int]]
"""Lowest and highest version by the key of a request."""


def api_versions(
    settings: KafkaSettings, timeout_s: float = _CONNECT_S
) -> dict[int, tuple[int, int]]:
    """Return lowest and highest version of each request that the first broker to answer knows.

    Raises KafkaUnavailable, with what was wrong with each address.
    """
    problems = []
    for address in settings.bootstrap.split(","):
        try:
            return _asked(settings, address.strip(), timeout_s)
        except (OSError, ValueError, struct.error) as error:
            problems.append(f"{address.strip()}: {error}")
    raise KafkaUnavailable(
        f"Kafka at {'; '.join(problems)}; start it (`weir up`) or set WEIR_KAFKA__BOOTSTRAP"
    )


def reachable(address: str, timeout_s: float = _CONNECT_S) -> str:
    """Return why nobody can connect to host:port; empty when somebody accepts."""
    try:
        with socket.create_connection(_parts(address), timeout_s):
            return ""
    except (OSError, ValueError) as error:
        return str(error)


def _asked(settings: KafkaSettings, address: str, timeout_s: float) -> dict[int, tuple[int, int]]:
    with _connected(settings, address, timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
        (length,) = struct.unpack(">i", _read(connection, 4))
        if not 10 <= length <= _LONGEST:
            raise ValueError("what answers is no Kafka broker")
        return decoded(_read(connection, length))


def decoded(answer: bytes) -> dict[int, tuple[int, int]]:
    """Return what an answer of version 0 says.

    Raises ValueError or struct.error for one that is none.
    """
    _, error, count = struct.unpack_from(">ihi", answer)
    if error:
        raise ValueError(f"the broker refuses to tell its versions: error {error}")
    found = (struct.unpack_from(">hhh", answer, 10 + 6 * number) for number in range(count))
    return {key: (lowest, highest) for key, lowest, highest in found}


def _connected(settings: KafkaSettings, address: str, timeout_s: float) -> socket.socket:
    plain = socket.create_connection(_parts(address), timeout_s)
    if not settings.security_protocol.endswith("SSL"):
        return plain
    context = ssl.create_default_context(cafile=settings.ssl_ca or None)
    if settings.ssl_certificate:
        context.load_cert_chain(settings.ssl_certificate, settings.ssl_key or None)
    return context.wrap_socket(plain, server_hostname=_parts(address)[0])


def _parts(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        raise ValueError("write host:port")
    return host.strip("[]"), int(port)


def _read(connection: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = connection.recv(length - len(found))
        if not part:
            raise ValueError("the connection was closed; is the security protocol right?")
        found += part
    return found
