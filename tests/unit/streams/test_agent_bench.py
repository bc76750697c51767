"""What `weir bench agent` works out, and what `weir agent` takes from its command line."""

import pytest
from typer.testing import CliRunner

from streams.bench import agent_sampling
from streams.bench.agent_cost import lines
from streams.commands import agent, bench
from streams.errors import SettingsError
from workers import telemetry
from workers.settings import Identity, Settings


def test_errors_of_sampling_are_those_that_theory_expects() -> None:
    whole, tenth = agent_sampling.errors((0.99, 0.1), 1_000, 60, seed=3)
    assert tenth["count_expected"] == round(100 * (0.9 / 100) ** 0.5, 2)
    assert tenth["count"] == pytest.approx(tenth["count_expected"], rel=0.3)
    assert tenth["sum_by_seen"] == tenth["mean"] < tenth["sum"]
    for name in ("count", "sum", "mean", "p50", "p99"):
        assert whole[name] < tenth[name]


def test_sampling_errors_are_the_same_for_a_seed() -> None:
    one, again, other = (agent_sampling.errors((0.1,), 200, 5, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_every_figure_has_a_row() -> None:
    case = {"p50_us": 1, "p99_us": 2, "p999_us": 3, "max_us": 4}
    common = {"cpu_percent": 1.0, "bytes_per_s": 2, "bytes_per_event": 3.0, "memory_mib": 4.0}
    sampling = agent_sampling.errors((0.5,), 100, 2, 1)
    found = {
        "enqueue": {"paced": case},
        "probe": [common | {"wanted_per_s": 1_000, "cpu_us_per_event": 9.5}],
        "agent": [common | {"every_s": 1.0, "events_per_s": 22.0, "follows_catalogue": False}],
        "sampling": sampling,
    }
    rows = dict(lines(found))
    assert rows["report(), µs: paced"] == "p50 1, p99 2, p99.9 3, most 4"
    assert rows["probe, 1,000 a second"].startswith("9.5 µs an event, 1.0 % of a core, 2 B/s")
    assert rows["agent, every 1 s, alone"].startswith("22.0 events/s")
    assert len(rows) == 4


def test_every_benchmark_is_a_command() -> None:
    named = {command.name or command.callback.__name__ for command in bench.app.registered_commands}
    assert {"agent", "observe", "faults", "end-to-end", "control-plane"} <= named


def test_an_agent_has_the_same_identity_after_a_restart() -> None:
    own = agent._identified(Settings(), "edge-1", "").identity
    assert (own.app, own.service, own.instance, own.node) == (
        "nodes", "agent", "agent.edge-1", "edge-1",
    )  # fmt: skip
    given = Settings(identity=Identity(app="farm", node="n", instance="i"))
    own = agent._identified(given, "", "").identity
    assert (own.app, own.instance, own.node) == ("farm", "i", "n")
    assert agent._identified(given, "", "nodes").identity.app == "nodes"
    assert agent._identified(Settings(), "", "").identity.node


@pytest.mark.parametrize(
    ("listen", "advertise", "found"),
    [
        ("127.0.0.1:0", "", ""),
        ("0.0.0.0:0", "", ""),
        ("0.0.0.0:0", "edge-1:7878", "edge-1:7878"),
        ("[::1]:0", "[fd00::7]:7878", "[fd00::7]:7878"),
        ("", "", ""),
    ],
)
def test_neighbours_are_told_where_they_find_an_agent(
    listen: str, advertise: str, found: str
) -> None:
    with agent._listening(listen, advertise, "token") as answers_at:
        assert answers_at == found


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--neighbour", "nowhere"), r"'nowhere' is no HOST:PORT; write 10\.0\.0\.7:7878"),
        (("--listen", "127.0.0.1:0", "--advertise", "me"), "'me' is no HOST:PORT"),
        (("--label", "room"), "--label 'room': write KEY=VALUE"),
        (("--listen", "0.0.0.0:0"), r"set a token \(WEIR_AGENT__TOKEN\)"),
    ],
)
def test_what_cannot_be_read_is_told(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, str], told: str
) -> None:
    monkeypatch.setattr(telemetry, "configure", lambda *_, **__: None)
    result = CliRunner().invoke(agent.app, ["run", *arguments])
    assert isinstance(result.exception, SettingsError)
    with pytest.raises(SettingsError, match=told):
        raise result.exception
