"""Apache Kafka for tests: skipped with a reason where it cannot be had, but never on CI."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.embedded.apache import BRIEF, Apache
from streams.embedded.jars import jars, needed
from streams.errors import StackError


def kafka_or_skip(directory: Path, brokers: int = 1, **options: Any) -> Apache:
    """Return a cluster that is not yet started; skip the test where Java or the jars are absent."""
    try:
        needed("java")
        jars()
    except StackError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the tier on Apache Kafka must run here: {error}")
        pytest.skip(str(error))
    return Apache(directory, brokers, java=BRIEF, **options)


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apache]:
    """One broker of Apache Kafka for all tests of this process that ask for it."""
    with kafka_or_skip(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster
