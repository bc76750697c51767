"""Orders of others: an installed distribution names them; what is wrong with one stops no other."""

from pathlib import Path

import pytest

from tests import distributions
from tests.unit.workers.scheduling.scheduling_world import job, play, scheduler, terms
from workers.order_plugins import installed
from workers.scheduling.orders.names import order

MODULE = """
from workers.scheduling.orders.base import Order
from workers.scheduling.orders.ranked import Ranked

class Lifo(Ranked):
    name = "lifo"
    why = "it came last"

    def rank(self, waiting, /):
        return -waiting.seq

class Half(Order):
    def rank(self, waiting, /):
        return 0

def fails():
    return 1 / 0

number = 3
"""
ENTRIES = """[weir.orders]
lifo = sample_orders:Lifo
fails = sample_orders:fails
half = sample_orders:Half
number = sample_orders:number
none = sample_orders:dict
fifo = sample_orders:Lifo
away = no_such_module_at_all:it
"""


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution on the path, as an installer would have left it."""
    distributions.distribution(tmp_path, monkeypatch, "sample_orders", MODULE, ENTRIES)


@pytest.mark.usefixtures("distribution")
def test_an_order_of_others_is_found_and_used() -> None:
    found = installed()
    assert sorted(found) == ["lifo"]
    made = scheduler(terms(), by=order("lifo", found))
    assert play(made, [job(n) for n in range(3)], lambda *_: 10.0).done() == ["j2", "j1", "j0"]


@pytest.mark.usefixtures("distribution")
def test_what_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = distributions.refusals(monkeypatch)
    installed()
    for name, reason in (
        ("away", "No module named"),
        ("fails", "ZeroDivisionError"),
        ("half", "abstract method"),
        ("fifo", "it has the name of a built-in order"),
        ("none", "AttributeError"),
        ("number", "not callable"),
    ):
        assert any(f"{name}" in line and reason in line for line in told), told
