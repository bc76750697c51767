"""Remedies and notifications as a user handles them with commands."""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.quality import RemedyDefined
from schemas.topics import TOPICS
from streams.embedded.broker import Broker
from streams.entries import Entries
from tests.commanding import command
from tests.embedded.conftest import Server
from tests.unit.processors import remedy_world as w
from tests.unit.workers.test_notifying import Heard, receiver
from workers.kafka import clients as kafka
from workers.registry import Registry
from workers.settings import KafkaSettings, RegistrySettings, Settings

pytestmark = pytest.mark.faults
Weir = Callable[..., "subprocess.CompletedProcess[str]"]
FILE = """
[[remedies]]
name = "more"
on = "quality"
action = "scale"
verify = "20s"
[[remedies]]
name = "less"
on = "quality"
action = "scale"
parameters = { by = -1 }
"""


@pytest.fixture
def settings(broker: Broker, registry: Server) -> Settings:
    section = KafkaSettings(bootstrap=broker.bootstrap)
    kafka.create_topics(section, TOPICS.values())
    made = Settings(
        kafka=section, registry=RegistrySettings(url=f"http://127.0.0.1:{registry.port}")
    )
    known = Registry(made.registry)
    known.register_all()
    known.close()
    return made


@pytest.fixture
def weir(settings: Settings, tmp_path: Path) -> Weir:
    environ = settings.environment() | {"WEIR_DATA_DIR": str(tmp_path)}
    return partial(command, environ=environ)


def _shown(weir: Weir, *arguments: str) -> Any:
    done = weir("remedies", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_remedies_are_checked_registered_listed_and_removed(
    weir: Weir, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "remedies.toml"
    file.write_text(FILE.replace("20s", "soon"), "utf-8")
    wrong = weir("remedies", "register", "-f", str(file))
    assert wrong.returncode != 0
    assert f"{file}, remedies[0] (more): verify: 'soon' is no time" in wrong.stderr

    file.write_text(FILE, "utf-8")
    checked = weir("remedies", "check", "-f", str(file))
    assert "2 remedies will do: more, less" in checked.stdout
    assert "less and more scale up and down on the same findings" in checked.stderr
    assert _shown(weir, "list") == []
    assert _shown(weir, "register", "-f", str(file))["changed"] == ["more", "less"]
    assert _shown(weir, "register", "-f", str(file))["changed"] == []
    assert [row["name"] for row in _shown(weir, "list")] == ["less", "more"]
    assert json.loads(weir("remedies", "show", "more").stdout)["verify_ms"] == 20_000
    assert _shown(weir, "mode", "observe")["mode"] == "observe"
    nobody = weir("remedies", "mode", "act", "--app", "ghost")
    assert (nobody.returncode, "no application 'ghost'" in nobody.stderr) == (4, True)

    run = w.Run(w.service(max_replicas=4), w.selected("s"), w.placed("s", "a"), w.defined("scale"))
    run.at(1_000, w.verdict(1_000)).during(2_000, 25_000)
    with Entries(settings) as entries:
        entries.send(run.said())
    rows = _shown(weir, "history", "--app", w.APP)
    assert [(row["action"], row["target"]) for row in rows][-2:] == [
        ("verified", "s"),
        ("scale", "s"),
    ]

    assert weir("remedies", "remove", "more").returncode == 0
    assert weir("remedies", "show", "more").returncode != 0
    with Entries(settings) as entries:
        assert set(entries.of(RemedyDefined)) == {"less"}


def test_whether_notifications_work_is_told(weir: Weir) -> None:
    assert "nobody is to be told" in weir("notify", "test").stderr
    heard = Heard([200, 500])
    with receiver(heard) as url:
        environ = {"WEIR_NOTIFY__WEBHOOK_URL": f"{url}/hook", "WEIR_NOTIFY__ALERTMANAGER_URL": url}
        done = command("notify", "test", "--json", environ=environ)
    taken = {row["receiver"]: row["taken"] for row in json.loads(done.stdout)}
    assert taken == {"webhook": "yes", "alertmanager": "no"}
    assert done.returncode == 1
    assert [path for path, _, _ in heard.requests] == ["/hook", "/api/v2/alerts"]
