"""The view of refused messages tells what was done about each."""

from dataclasses import replace

from schemas.decisions import DeadLetter
from tests.clickhouse.messages import store
from tests.examples import example
from workers.clickhouse import Database
from workers.letters import cases_of, discarded, retried


def test_what_is_open_and_what_is_settled(database: Database) -> None:
    letters = [
        replace(example(DeadLetter), event_id=f"letter {n}", offset=n, detected_at=1_000 * n)
        for n in range(1, 4)
    ]
    cases = {case.id: case for case in cases_of(letters, [])}
    sent = retried(cases["letter 1"], ("observe",), ("weir.metrics", 0, 9), 5_000)
    given_up = discarded(cases["letter 1"], "noise", 6_000)
    store(database, *letters, sent, given_up)
    store(database, retried(cases["letter 2"], ("sink",), ("t", 0, 1), 7_000), letters[0], first=20)
    found = database.query("SELECT id, state, deeds, reason FROM dead_letter_cases")
    assert found.rows == (
        ("letter 3", "open", 0, ""),
        ("letter 2", "retried", 1, "sent again for sink; the copy stands at t/0/1"),
        ("letter 1", "discarded", 2, "noise"),
    )
