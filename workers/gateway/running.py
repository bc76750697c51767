"""A gateway as a process runs it: its client, its catalogue, its server, and its orderly end."""

import asyncio
import ssl
import threading
import uuid
from collections.abc import Callable

from aiohttp import web

from schemas.decisions import EnsembleSelected
from schemas.registrations import ApplicationRegistered, ConsumerRegistered
from workers.catalogue import CatalogueReader
from workers.client import Client
from workers.clock import wall_ms
from workers.gateway import leftovers
from workers.gateway.access import LOOPBACK, Access
from workers.gateway.asking import Asking
from workers.gateway.control import Control, NoControl
from workers.gateway.refusals import NotServing
from workers.gateway.server import Means, Routes
from workers.registry import Registry
from workers.settings import Settings
from workers.settings_outside import GatewaySettings
from workers.telemetry import logger

LINGER_S = 2.0
"""A body that is not wanted is read for so long, so that its sender sees why."""
IDLE_S = 75.0
"""Longest wait of a connection for the headers of a request, the first or the next."""
LOOK_S = 0.1
SUCCESSION_S = 1.0
"""Who shares its port ends connections with an answer for so long, before it cuts those left.

Nor does it listen before it can answer: whom it succeeds does so until then.
"""
NO_ANSWER_MS = 1_000
"""An answer is awaited so long after its deadline: route tells the late at the deadline."""

log = logger(__name__)


class Gateway:
    """Serves until it is told to stop; `address` is where, once it does."""

    def __init__(
        self,
        settings: Settings,
        version: str,
        control: Control | None = None,
        serving: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings, self._own = settings, settings.gateway
        self._version, self._control, self._serving = version, control or NoControl(), serving
        self._tls = tls_of(settings.gateway)
        self.address = ""
        self._ready: Callable[[], bool] = lambda: False
        self._ending = self._closing = False

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return bool(self.address) and not self._closing and self._ready()

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, then let what is under way end, for `drain_s` at most.

        Raises KafkaUnavailable, RegistryUnavailable, NotServing.
        """
        registry = Registry(self._settings.registry)
        kinds = (ApplicationRegistered, ConsumerRegistered, EnsembleSelected)
        reader = CatalogueReader(self._settings.kafka, registry.codec(), kinds)
        leftovers.remove(self._settings.kafka, wall_ms())
        replies = f"{leftovers.PREFIX}{uuid.uuid4().hex[:12]}"
        most = self._own.max_requests
        with (
            reader,
            Client(self._settings, replies=replies, most=most, grace_ms=NO_ANSWER_MS) as client,
        ):
            self._ready = lambda: client.listening and reader.ready
            asyncio.run(self._serve(client, reader, stop))
        registry.close()

    async def _serve(self, client: Client, reader: CatalogueReader, stop: threading.Event) -> None:
        anonymous = allows_anonymous(self._own)
        means = Means(
            asking=Asking(client.answer, self._own),
            access=Access(self._own.admin_token.get_secret_value(), anonymous=anonymous),
            settings=self._own,
            catalogue=reader.current,
            ready=lambda: self.ready,
            ending=lambda: self._ending,
            control=self._control,
            version=self._version,
        )
        runner = runner_of(Routes(means).application(), drain_s=self._own.drain_s)
        await runner.setup()
        try:
            while self._own.share_port and not (self._ready() or stop.is_set()):
                await self._look(client, reader)
            self.address = await self._listening(runner)
            log.info("gateway.listens", address=self.address, anonymous=anonymous)
            self._serving(self.address)
            while not stop.is_set():
                await self._look(client, reader)
        finally:
            await self._leave(runner)

    async def _look(self, client: Client, reader: CatalogueReader) -> None:
        """Take note of the catalogue, and raise what ended the client; wait a moment."""
        reader.current()
        client.check()
        await asyncio.sleep(LOOK_S)

    async def _leave(self, runner: web.AppRunner) -> None:
        """Take no new connections, which find a successor, and end those that there are."""
        self._ending = True
        for site in list(runner.sites):
            await site.stop()
        if self._own.share_port:
            await asyncio.sleep(SUCCESSION_S)
        self._closing = True
        await runner.cleanup()

    async def _listening(self, runner: web.AppRunner) -> str:
        host, port = self._own.host, self._own.port
        try:
            shared = self._own.share_port or None
            site = web.TCPSite(runner, host, port, ssl_context=self._tls, reuse_port=shared)
            await site.start()
        except OSError as error:
            raise NotServing(
                f"cannot listen on {host}:{port}: {error.strerror or error}; "
                "see WEIR_GATEWAY__HOST and WEIR_GATEWAY__PORT"
            ) from error
        name = f"[{host}]" if ":" in host else host
        return f"http{'s' if self._tls else ''}://{name}:{runner.addresses[0][1]}"


def runner_of(
    application: web.Application, *, idle_s: float = IDLE_S, drain_s: float = 1.0
) -> web.AppRunner:
    """Return what serves an application, on connections that are not silent for `idle_s`.

    At its end requests under way have `drain_s` to be answered.
    """
    return web.AppRunner(
        application,
        access_log=None,
        keepalive_timeout=idle_s,
        shutdown_timeout=drain_s,
        lingering_time=LINGER_S,
        auto_decompress=False,
    )


def allows_anonymous(settings: GatewaySettings) -> bool:
    """Return whether who has no token may ask."""
    if settings.anonymous == "loopback":
        return settings.host in LOOPBACK
    return settings.anonymous == "yes"


def tls_of(settings: GatewaySettings) -> ssl.SSLContext | None:
    """Return how connections are protected, if at all. Raises NotServing."""
    if not settings.certificate and not settings.key:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key or None)
    except OSError as error:
        raise NotServing(
            f"certificate {settings.certificate} with key {settings.key}: {error}; see "
            "WEIR_GATEWAY__CERTIFICATE and WEIR_GATEWAY__KEY"
        ) from error
    return context
