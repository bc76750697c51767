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


class OneBroker(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file goes to one process, and all that asks for the fixture `apache` goes to one as well.

    Each process would start a broker of its own otherwise, half a minute of a core each.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, name = nodeid.partition("::")
        shared = file in _ASKING or (file.startswith("tests/hosts/") and "apache" in name)
        return SHARED if shared else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> OneBroker:
    """Deal tests out over processes."""
    return OneBroker(config, log)
