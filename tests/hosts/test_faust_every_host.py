"""The scenarios of every host, on Faust."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.faust_world import FaustWorld, faust_world
from tests.hosts.test_every_host import (
    test_a_crash_loses_nothing_and_repeats_nothing,
    test_bad_messages_become_dead_letters_and_everything_else_goes_on,
    test_every_record_is_applied_once_and_in_order,
    test_the_catalogue_is_read_before_the_first_record,
)
from tests.hosts.worlds import LOGS_OF_FAUST, cluster_of

__all__ = [
    "test_a_crash_loses_nothing_and_repeats_nothing",
    "test_bad_messages_become_dead_letters_and_everything_else_goes_on",
    "test_every_record_is_applied_once_and_in_order",
    "test_the_catalogue_is_read_before_the_first_record",
]


@pytest.fixture(params=LOGS_OF_FAUST)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FaustWorld]:
    with faust_world(tmp_path, cluster_of(request)) as made:
        yield made
