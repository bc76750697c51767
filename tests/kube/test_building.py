"""The servers of Kubernetes are built once, and who cannot build them says why."""

from pathlib import Path

import pytest

from streams.errors import StackError
from tests.kube import building

GO = """#!/bin/sh
if [ "$1" = version ]; then echo go version $VERSION; exit; fi
echo "$@" >> {log}
while [ $# -gt 1 ]; do if [ "$1" = -o ]; then echo built > "$2"; exit; fi; shift; done
"""


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def put_go(folder: Path, script: str) -> None:
    (folder / "go").write_text(script)
    (folder / "go").chmod(0o755)


def test_without_go_it_says_what_to_install(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(bin_folder))
    monkeypatch.setattr(building, "ELSEWHERE", ())
    with pytest.raises(StackError, match=r"need Go 1\.25 or later"):
        building.build()


def test_it_is_built_once_for_each_version_of_go(
    bin_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = bin_folder.parent / "log"
    put_go(bin_folder, GO.format(log=log))
    monkeypatch.setenv("VERSION", "1.25")
    with pytest.raises(StackError, match="not built yet"):
        building.program()
    first = building.build()
    assert first.read_text() == "built\n"
    assert building.program() == first
    assert building.build() == first
    assert log.read_text().count("build -trimpath") == 1
    monkeypatch.setenv("VERSION", "1.26")
    assert building.build() != first


def test_a_build_that_fails_leaves_nothing_and_gives_the_words_of_go(bin_folder: Path) -> None:
    put_go(bin_folder, "#!/bin/sh\n[ $1 = version ] && exit\necho no such proxy >&2\nexit 1\n")
    with pytest.raises(StackError, match="`go build` failed: no such proxy"):
        building.build()
    assert [p for p in (bin_folder.parent / "cache/weir").iterdir() if p.suffix != ".lock"] == []
