"""`weir source`: what it refuses before it looks for a broker."""

import pytest

from tests.commanding import command


@pytest.mark.parametrize("listen", ["here", "127.0.0.1:99999", "name=127.0.0.1:80"])
def test_an_address_that_cannot_be_is_refused_at_once(listen: str) -> None:
    done = command("source", "--app", "plant", "--listen", listen, environ={})
    assert done.returncode == 2
    assert "is no HOST:PORT" in done.stderr
    assert "Kafka" not in done.stderr
