"""Ports for servers of our own."""

import socket

import pytest

from streams.embedded import processes
from streams.embedded.processes import LOOPBACK, free_port


def test_servers_that_start_together_get_ports_of_their_own() -> None:
    assert len({free_port() for _ in range(500)}) == 500


def test_a_port_on_which_somebody_listens_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        free = free_port()
        monkeypatch.setattr(processes, "_given", [])
        monkeypatch.setattr(processes, "_PORTS", [taken] * 50 + [free])
        assert free_port() == free
