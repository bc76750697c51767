"""The demonstration's pure parts: what is sent, how it is corrupted, how the run is divided."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from streams.demo.corruption import CORRUPTIONS
from streams.demo.models import Pool, split
from streams.demo.queries import Selection
from streams.demo.summary import Phases, phases
from streams.demo.traffic import LABEL_AFTER_S, LONGEST, Plan, items

PLAN = Plan(
    app="a",
    contract="c",
    consumer="k",
    seed=1,
    rate=50.0,
    seconds=20.0,
    corruption="noise",
    corrupt_after=8.0,
)


@pytest.fixture(scope="module")
def pool() -> Pool:
    return split(1)[2]


def test_equal_plans_send_equal_requests_and_other_seeds_others(pool: Pool) -> None:
    first, again = list(items(PLAN, pool)), list(items(PLAN, pool))
    other = list(items(replace(PLAN, seed=2), pool))
    assert [i.at for i in first] == [i.at for i in again]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, again, strict=True))
    assert [i.at for i in first] != [i.at for i in other]


def test_requests_come_at_the_rate_and_their_truth_later(pool: Pool) -> None:
    sent = list(items(PLAN, pool))
    planned = [item for item in sent if item.at < PLAN.seconds]
    assert abs(len(planned) - 1000) < 4 * 1000**0.5
    assert sent[-1].at < PLAN.seconds * LONGEST < sent[-1].at + 1
    assert all(a.at < b.at for a, b in pairwise(sent))
    low, high = LABEL_AFTER_S
    assert all(low <= i.label_at - i.at <= high for i in sent)


def test_corruption_begins_when_told_or_never(pool: Pool) -> None:
    sent = list(items(PLAN, pool))
    assert all(i.corrupted == (i.at >= 8.0) for i in sent)
    assert not any(i.corrupted for i in items(replace(PLAN, corrupt_after=None), pool))
    known = {image.tobytes() for image in pool.images}
    assert all((i.image.tobytes() in known) != i.corrupted for i in sent)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_images_within_their_shape_and_range(name: str, pool: Pool) -> None:
    before = pool.images.copy()
    after = CORRUPTIONS[name](pool.images, np.random.default_rng(3))
    assert after.shape == before.shape
    assert after.dtype == np.float32
    assert np.array_equal(pool.images, before), "the pool itself is left alone"
    assert float(np.abs(after - before).mean()) > 0.02
    assert after.min() >= -0.01
    assert after.max() <= 1.01


def test_models_are_never_asked_what_they_were_trained_on() -> None:
    parts = [{image.tobytes() for image in part.images} for part in split(5)]
    train, check, ask = parts
    assert len(train) > len(check) > 300
    assert not train & check
    assert not train & ask
    assert not check & ask


def selection(at: int, generation: int, *members: str) -> Selection:
    return Selection(at, generation, members, (), "")


def test_phases_are_bounded_by_changes_of_members_alone() -> None:
    found = [
        selection(0, 1, "a"),
        selection(50, 2, "a", "b"),
        selection(110, 3, "a", "b"),
        selection(120, 4, "c"),
        selection(130, 5, "c", "d"),
        selection(140, 6, "c", "d"),
    ]
    assert phases(found, 100) == Phases(100, 4, 5)
    assert phases(found[:3], 100) == Phases(100, None, None)
    assert phases(found, None) == Phases(None, None, None)
