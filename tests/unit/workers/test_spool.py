"""What waits on disk: order, bounds, losses that are counted, kill -9, damaged files."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.catalogue import Catalogue
from schemas.decisions import PlacementDecided
from schemas.errors import DecodeError
from schemas.observing import MetricReport
from schemas.registrations import ServiceRegistered
from tests.embedded.worker_world import placement
from tests.unit.workers.inference_world import service
from workers.edge.packed import Packed
from workers.edge.remembered import Remembered, of_node
from workers.edge.spool import FULL, OVERHEAD, Lost, Spool
from workers.edge.store import Store

MIB = 1_048_576


def metric(number: int) -> Packed:
    return Packed.of(
        MetricReport(app="shop", metric="load", value=float(number), event_time=1_000 + number)
    )


def values(spool: Spool, after: int = 0) -> list[float]:
    found = [entry.packed.event() for entry in spool.oldest(1_000, after)]
    return [event.value for event in found if isinstance(event, MetricReport)]


def test_what_waits_comes_in_order_with_its_times_until_it_is_removed(tmp_path: Path) -> None:
    spool = Spool(Store(tmp_path / "a"), MIB)
    numbers, gone = spool.append([metric(n) for n in range(5)], 1)
    assert (len(spool), gone, numbers) == (5, [], sorted(numbers))
    first, *_ = spool.oldest(2)
    event = first.packed.event()
    assert isinstance(event, MetricReport)
    assert event.event_time == 1_000
    spool.remove(numbers[:2])
    assert values(spool) == [2.0, 3.0, 4.0]
    assert values(spool, numbers[3]) == [4.0]
    spool.remove([*numbers, 99])
    assert (len(spool), values(spool)) == (0, [])
    assert spool.append([metric(9)], 1)[0][0] > numbers[-1]


def test_what_is_taken_of_its_bound_is_told_and_found_again(tmp_path: Path) -> None:
    each = OVERHEAD + len(metric(0).body)
    spool = Spool(Store(tmp_path / "a"), 2 * each)
    numbers, _ = spool.append([metric(0)], 1)
    assert spool.held_bytes == each
    spool.append([metric(1), metric(2)], 2)
    assert (len(spool), spool.held_bytes) == (2, 2 * each)
    again = Spool(Store(tmp_path / "a"), 2 * each)
    assert (len(again), again.held_bytes) == (2, 2 * each)
    again.remove([numbers[0], numbers[0] + 1])
    assert (len(again), again.held_bytes) == (1, each)


def test_when_it_is_full_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    each = OVERHEAD + len(metric(0).body)
    store = Store(tmp_path / "a")
    spool = Spool(store, 3 * each)
    kept, _ = spool.append([metric(n) for n in range(3)], 10)
    _, gone = spool.append([metric(3)], 20)
    _, more = spool.append([metric(4), metric(5)], 30)
    assert [*gone, *more] == kept
    assert values(spool) == [3.0, 4.0, 5.0]
    (lost,) = spool.lost()
    assert lost == Lost("MetricReport", FULL, 3, 20, 30)
    spool.append([metric(6)], 40)
    spool.told(lost)
    assert spool.lost() == [Lost("MetricReport", FULL, 1, 30, 40)]
    store.close()
    again = Spool(Store(tmp_path / "a"), 3 * each)
    assert (len(again), values(again)) == (3, [4.0, 5.0, 6.0])
    assert again.append([metric(7)], 50)[1] != []


def test_what_is_larger_than_the_whole_spool_goes_itself() -> None:
    spool = Spool(Store(None), 10)
    numbers, gone = spool.append([metric(1)], 5)
    assert (numbers, len(spool)) == (gone, 0)
    assert spool.lost()[0].number == 1


def test_killed_in_the_midst_of_writing_it_keeps_what_was_told(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from schemas.observing import MetricReport\n"
        "from workers.edge.packed import Packed\n"
        "from workers.edge.spool import Spool\nfrom workers.edge.store import Store\n"
        "spool = Spool(Store(Path(sys.argv[1])), 10**7)\n"
        "for n in range(10**6):\n"
        "    event = MetricReport(app='shop', metric='load', value=float(n), event_time=n)\n"
        "    spool.append([Packed.of(event)], n)\n    print(n, flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(50)][-1]
        os.kill(writer.pid, signal.SIGKILL)
        told = max([told, *map(int, writer.stdout.read().split(b"\n")[:-1])])
    log = Path(f"{tmp_path / 'a'}-wal")
    with log.open("r+b") as torn:
        torn.seek(0, os.SEEK_END)
        torn.write(b"half a frame that was being written")
    found = values(Spool(Store(tmp_path / "a"), 10**7))
    assert found[: told + 1] == [float(n) for n in range(told + 1)]


def test_a_file_that_is_no_store_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"no database at all" * 400)
    spool = Spool(Store.at(path), MIB)
    spool.append([metric(1)], 1)
    assert values(spool) == [1.0]
    assert (tmp_path / "a.damaged1").read_bytes().startswith(b"no database")


def test_without_a_place_on_disk_it_waits_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store.at(tmp_path / "file" / "a")
    assert store.path is None
    spool = Spool(store, MIB)
    spool.append([metric(1)], 1)
    store.sync()
    assert values(spool) == [1.0]


def test_an_entry_that_has_rotted_is_noticed(tmp_path: Path) -> None:
    spool = Spool(Store(tmp_path / "a"), MIB)
    spool.append([metric(1), metric(2)], 1)
    with sqlite3.connect(tmp_path / "a") as other:
        other.execute("UPDATE spool SET body = zeroblob(length(body)) WHERE number = 1")
    other.close()
    rotten, good = spool.oldest(10)
    with pytest.raises(DecodeError, match="damaged"):
        rotten.packed.event()
    spool.lose(rotten, "damaged", 7)
    assert spool.lost() == [Lost("MetricReport", "damaged", 1, 7, 7)]
    assert spool.oldest(10) == [good]


def catalogue_of(*events: PlacementDecided | ServiceRegistered) -> Catalogue:
    entries: dict[type, dict[str, object]] = {}
    for event in events:
        entries.setdefault(type(event), {})[event.service] = event
    return Catalogue(entries)  # type: ignore[arg-type]  # of events, as put in


def test_the_last_placement_of_a_node_is_known_again(tmp_path: Path) -> None:
    known = catalogue_of(
        service("here"), service("there"), placement("here", "n", "m"), placement("there", "m")
    )
    remembered = Remembered(Store(tmp_path / "a"))
    assert remembered.keep(of_node(known, "n"), "one")
    assert not remembered.keep(of_node(known, "n"), "one")
    again = Remembered(Store(tmp_path / "a")).catalogue()
    assert remembered.cluster() == "one"
    assert set(again.of(ServiceRegistered)) == {"here"}
    assert again.of(PlacementDecided) == {"here": placement_of(known, "here")}
    assert remembered.keep([], "two")
    assert Remembered(Store(tmp_path / "a")).catalogue().of(PlacementDecided) == {}


def placement_of(catalogue: Catalogue, name: str) -> PlacementDecided:
    return catalogue.of(PlacementDecided)[name]
