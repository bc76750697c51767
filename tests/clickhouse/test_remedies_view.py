"""The view of remedies tells what was asked for, and what came of it."""

from schemas.decisions import ActionTaken
from schemas.records import KeyValue
from tests.clickhouse.messages import store
from workers.clickhouse import Database


def said(kind: str, number: int, status: str = "done", **more: object) -> ActionTaken:
    details = {"finding": "f", **{k: v for k, v in more.items() if k == "deed"}}
    return ActionTaken(
        event_id=f"{kind} {number}",
        target="s",
        kind=f"remedy.{kind}",
        status=status,
        policy="mend",
        reason=f"{kind} {status}",
        parameters=tuple(KeyValue(key=k, value=str(v)) for k, v in details.items()),
        helped=more.get("helped"),  # type: ignore[arg-type]  # a bool or None
        taken_at=1_000 * number,
        app="shop",
    )


def test_what_was_asked_done_and_of_help(database: Database) -> None:
    helped = said("verified", 2, deed="scale 1", helped=True)
    idle = said("verified", 4, deed="scale 3", helped=False)
    lost = said("verified", 6, "failed", deed="replace 5")
    taken_back = said("undone", 5, deed="scale 3")
    asked = [said("scale", 1), said("scale", 3), said("replace", 5), said("reselect", 7, "refused")]
    store(database, *asked, helped, idle, lost, taken_back, helped)

    found = database.query(
        "SELECT remedy, action, status, carried_out, helped, undone_at IS NOT NULL"
        " FROM remedy_outcomes"
    )
    assert found.rows == (
        ("mend", "reselect", "refused", None, None, 0),
        ("mend", "replace", "done", False, None, 0),
        ("mend", "scale", "done", True, False, 1),
        ("mend", "scale", "done", True, True, 0),
    )
