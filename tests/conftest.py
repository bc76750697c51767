"""Settings that all tests share, and which of them share a process."""

import os

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ("tests.broker.cluster",)
os.environ.setdefault("POLARS_MAX_THREADS", "1")  # tests share the cores, and frames are small

SHARED = "Apache Kafka"
_ASKING = (
    "tests/broker/test_kcat.py",
    "tests/broker/test_registry_on_kafka.py",
    "tests/hosts/test_hidden_records.py",
    "tests/hosts/test_shrinking_logs.py",
)

settings.register_profile(
    "default",
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


TOGETHER = ("tests/architecture/", "tests/clickhouse/")
"""Folders whose tests share what is dear: the parsed sources, a server with its tables."""


class SharedServers(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file goes to one process, and so does all that asks for `apache`, or lies in `TOGETHER`.

    Each process would start a broker of its own otherwise, half a minute of a core each.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, name = nodeid.partition("::")
        if file in _ASKING or (file.startswith("tests/hosts/") and "apache" in name):
            return SHARED
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> SharedServers:
    """Deal tests out over processes."""
    return SharedServers(config, log)
