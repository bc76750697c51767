"""Who vouches for a registry: nobody is asked where every address is without TLS."""

import pytest

from workers.registry import _config
from workers.settings import RegistrySettings


@pytest.mark.parametrize(
    ("settings", "authorities"),
    [
        ({"url": "http://a:8081, http://b:8081"}, False),
        ({"url": "http://a:8081,https://b:8081"}, None),
        ({"url": "https://a:8081"}, None),
        ({"url": "http://a:8081", "ssl_ca": "own.pem"}, "own.pem"),
    ],
)
def test_authorities_are_loaded_for_tls(settings: dict[str, str], authorities: object) -> None:
    assert _config(RegistrySettings(**settings)).get("ssl.ca.location") == authorities
