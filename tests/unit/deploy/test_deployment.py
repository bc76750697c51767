"""What is deployed starts commands that exist, with settings that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.cli import load
from streams.topology import APPS, names
from tests.unit.deploy.manifests import IMAGES, ROOT, compose, containers, manifests
from workers.settings import Settings

KNOWN = set(Settings().environment())


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command line of Weir that a manifest starts."""
    for name, service in compose()["services"].items():
        if str(service["image"]).startswith("weir-stream"):
            yield f"compose/{name}", service["command"]
    for name, container in containers():
        if container["image"].startswith("weir-stream"):
            yield f"kubernetes/{name}/{container['name']}", container["args"]
    for image in IMAGES:
        (entry,) = re.findall(r"^ENTRYPOINT (.+)$", image.read_text("utf-8"), re.MULTILINE)
        words = re.findall(r'"([^"]+)"', entry)
        assert words[0] == "weir"
        if words[1:]:
            yield image.name, words[1:]


COMMANDS = dict(commands())


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_the_command_exists_and_takes_these_arguments(words: list[str]) -> None:
    command, rest = load(words[0]), list(words[1:])
    if hasattr(command, "commands") and not rest[0].startswith("-"):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(command.name, rest)


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_everything_that_runs_is_deployed(where: str) -> None:
    started = {
        word
        for place, words in COMMANDS.items()
        if place.startswith(where) and words[0] == "run"
        for word in words[1:]
    }
    assert set(names()) - set(APPS) | {"control"} <= started


def settings_named() -> set[str]:
    """Every WEIR_ variable that a file of deploy/ sets or names."""
    found: set[str] = set()
    for path in (ROOT / "deploy").rglob("*"):
        if path.is_file():
            found |= set(re.findall(r"\bWEIR_[A-Z0-9_]+", path.read_text("utf-8")))
    return {name for name in found if name != "WEIR_"}


def test_every_variable_is_a_setting() -> None:
    named = settings_named()
    assert "WEIR_KAFKA__BOOTSTRAP" in named
    assert named <= KNOWN


def images() -> dict[str, str]:
    """Every image that is run or built upon, by where it stands."""
    found = {f"compose/{name}": s["image"] for name, s in compose()["services"].items()}
    found |= {f"kubernetes/{name}/{c['name']}": c["image"] for name, c in containers()}
    for path in IMAGES:
        for number, base in enumerate(
            re.findall(r"^FROM (\S+)", path.read_text("utf-8"), re.MULTILINE)
        ):
            found[f"{path.name}/{number}"] = base
    return found


@pytest.mark.parametrize("image", images().values(), ids=images())
def test_an_image_is_pinned_to_a_version(image: str) -> None:
    name, _, tag = image.rpartition(":")
    assert name
    assert re.match(r"\d+\.\d+", tag)


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_an_image_installs_locked_requirements_and_runs_as_nobody(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "--require-hashes" in text
    lock = {"worker": "edge.lock"}.get(path.stem, "run.lock")
    assert f"requirements/{lock}" in text
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert users == ["10001:10001"]
    workdir = re.findall(r"^WORKDIR (\S+)$", text, re.MULTILINE)[-1]
    assert workdir == Settings.model_validate({"data_dir": "/var/lib/weir"}).data_dir.as_posix()


def test_what_images_copy_is_in_the_build_context() -> None:
    allowed = (ROOT / ".dockerignore").read_text("utf-8").split()
    for path in IMAGES:
        for source in re.findall(r"^COPY (?!--from)(\S+) ", path.read_text("utf-8"), re.MULTILINE):
            folder = source.split("/", maxsplit=1)[0]
            assert any(line.startswith(f"!{folder}/") for line in allowed)


def test_compose_services_depend_on_services_that_can_be_waited_for() -> None:
    services = compose()["services"]
    for service in services.values():
        for name, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
            else:
                assert services[name].get("restart") in ("no", "on-failure")


def test_compose_publishes_on_loopback_only() -> None:
    for service in compose()["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_admin_token_of_this_host_reaches_the_gateway() -> None:
    given = compose()["services"]["gateway"]["environment"]
    assert given["WEIR_GATEWAY__ADMIN_TOKEN"] == "${WEIR_GATEWAY__ADMIN_TOKEN:-}"
    assert given["WEIR_KAFKA__BOOTSTRAP"] == "kafka:9092"


def test_compose_volumes_are_declared() -> None:
    loaded = compose()
    used = {
        volume.split(":")[0]
        for service in loaded["services"].values()
        for volume in service.get("volumes", [])
    }
    assert used == set(loaded["volumes"])


def test_both_deployments_run_the_same_processes() -> None:
    """What compose starts on request too; but for agents, of which every node has its own.

    Workers in a cluster are made by control, where services are placed.
    """
    services = compose()["services"]
    in_compose = {name for name, s in services.items() if s["image"][:5] == "weir-"}
    in_kubernetes = {
        document["metadata"]["name"]
        for document in manifests()
        if document["kind"] in ("Deployment", "StatefulSet")
    }
    assert in_compose - {"topics", "schemas", "worker"} == in_kubernetes
