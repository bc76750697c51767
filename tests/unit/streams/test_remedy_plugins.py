"""Actions of others: the worked example is true, laws are kept, failures refuse and stop nobody."""

from pathlib import Path
from textwrap import dedent

import pytest

from processors.errors import PluginError
from processors.remedying import base, remedy
from streams import topology
from streams.plugins import groups
from streams.plugins.remedies import installed, laws_broken
from tests import distributions
from tests.unit.processors import remedy_world as w
from workers.local import LocalHost

HEADER = "from processors.remedying.base import Plan, Refusal\nimport itertools\n"
OTHERS = """
class Fails(LessLoad):
    def plan(self, case):
        return 1 / 0

class Greedy(LessLoad):
    def plan(self, case):
        return Plan("service", "s", "all is well", (case.finding,))

class Moody(LessLoad):
    turns = itertools.count()
    def plan(self, case):
        return Plan("service", "s", f"for the {next(self.turns)}th time")

class Same(LessLoad):
    def plan(self, case):
        made = case.demand("s", 2, "more")
        object.__setattr__(made, "event_id", "mine")
        return Plan("service", "s", "more", (made,))
"""
ENTRIES = """[weir.remedies]
less-load = weir_pause:LessLoad
fails = weir_pause:Fails
greedy = weir_pause:Greedy
moody = weir_pause:Moody
same = weir_pause:Same
scale = weir_pause:LessLoad
words = weir_pause:HEADER
"""


def _example() -> str:
    """Return the class that the docstring works out."""
    told = base.__doc__ or ""
    return dedent(told[told.index("    class LessLoad") : told.index("with, in its pyproject")])


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A distribution on the path; returns what is logged of entries that cannot be used."""
    module = f"{HEADER}{_example()}{OTHERS}\ndef HEADER():\n    return 1\n"
    distributions.distribution(tmp_path, monkeypatch, "weir_pause", module, ENTRIES)
    return distributions.refusals(monkeypatch)


def test_what_can_be_used_is_found_and_the_rest_is_told(refused: list[str]) -> None:
    assert sorted(installed()) == ["fails", "greedy", "less-load", "moody", "same"]
    assert any("'scale'" in one and "Weir's own" in one for one in refused)
    assert any("words" in one and "is no Action" in one for one in refused)
    assert groups.GROUPS[base.GROUP].what == "actions of remedies"


def test_the_worked_example_keeps_the_laws_and_others_are_told_theirs(refused: list[str]) -> None:
    found = installed()
    assert laws_broken(found["less-load"]) == []
    assert any("equal cases ended differently" in one for one in laws_broken(found["moody"]))
    assert any("ask by one id" in one for one in laws_broken(found["same"]))
    for name, told in (("fails", "ZeroDivisionError"), ("greedy", "may not make a Finding")):
        with pytest.raises(PluginError, match=told):
            laws_broken(found[name])


def test_an_action_of_others_is_carried_out_and_a_failing_one_refuses(refused: list[str]) -> None:
    known = (w.service(max_replicas=4), w.selected("s"), w.placed("s", "a"))
    mend = w.defined("less-load", parameters=w.pairs(copies="3"), verify_ms=2_000, undo=True)
    run = w.Run(*known, mend, w.defined("fails", name="broken"), others=installed())

    run.at(1_000, w.verdict(1_000)).during(2_000, 4_000)

    assert run.placement().replicas == 3
    (broken,) = [one for one in run.said() if one.policy == "broken"][:1]
    assert (broken.status, "ZeroDivisionError" in broken.reason) == ("refused", True)
    assert "it cannot be undone" in run.said("remedy.undone")[0].reason


def test_an_action_whose_plug_in_is_gone_is_told_as_failed_and_holds_nobody_up(
    refused: list[str],
) -> None:
    known = (w.service(max_replicas=4), w.selected("s"), w.placed("s", "a"))
    more = w.defined("less-load", parameters=w.pairs(copies="3"), verify_ms=2_000, undo=True)
    run = w.Run(*known, more, w.defined("scale", name="later", rule="odd"), others=installed())
    run.at(1_000, w.verdict(1_000)).at(2_000)

    run.host = LocalHost((remedy.spec(), *w.CARRYING), run.log)
    run.at(4_000, w.verdict(4_000, rule="odd")).during(5_000, 90_000)

    (judged,) = [one for one in run.said("remedy.verified") if one.policy == "mend"]
    assert (judged.status, judged.reason) == ("failed", "its plug-in is gone")
    assert "done" in {one.status for one in run.said("remedy.scale")}


def test_the_processor_of_the_topology_has_them(refused: list[str]) -> None:
    processor = topology.spec_named("remedy").build(0)
    assert isinstance(processor, remedy.Remedy)
    assert "less-load" in processor._actions
