"""What every runtime keeps, whoever wrote it; `law` holds one case to all of them.

The model of a case takes one tensor with free rows, and gives rows for rows.
"""

import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from workers.runtimes.base import Array, Load, Runtime
from workers.runtimes.errors import ExecutionFailed, RuntimeFailure


@dataclass(frozen=True, slots=True)
class Case:
    """A runtime, a model of its own that can be loaded, one that cannot, and rows to execute."""

    runtime: Runtime
    good: Path | str
    broken: Path | str
    rows: Array
    options: dict[str, str]
    device: str = "cpu"

    @property
    def terms(self) -> Load:
        return Load(device=self.device, deadline_ms=20_000, options=self.options)


def executes_as_it_says(case: Case) -> None:
    """Outputs are as many as the signature says, with its types and shapes."""
    session = case.runtime.load(case.good, case.terms)
    assert session.signature.batches
    assert session.provider
    outputs = session.run([case.rows])
    assert len(outputs) == len(session.signature.outputs)
    for port, output in zip(session.signature.outputs, outputs, strict=True):
        assert output.dtype == port.dtype
        assert len(output.shape) == len(port.shape)
        assert output.shape[0] == len(case.rows)


def depends_on_its_inputs_alone(case: Case) -> None:
    """The same rows give the same, later too, and leave the inputs as they were."""
    session = case.runtime.load(case.good, case.terms)
    before = case.rows.copy()
    first = [output.copy() for output in session.run([case.rows])]
    session.run([case.rows[::-1].copy()])
    for one, other in zip(first, session.run([case.rows]), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(case.rows, before)


def answers_stay_as_they_were(case: Case) -> None:
    """What was returned does not change when something else is executed."""
    session = case.runtime.load(case.good, case.terms)
    given = session.run([case.rows])
    kept = [output.copy() for output in given]
    session.run([(case.rows * 0).astype(case.rows.dtype)])
    for one, other in zip(given, kept, strict=True):
        np.testing.assert_array_equal(one, other)


def batches_change_nothing(case: Case) -> None:
    """Rows together give what they give one by one."""
    session = case.runtime.load(case.good, case.terms)
    together = session.run([case.rows])
    alone = [session.run([case.rows[number : number + 1]]) for number in range(len(case.rows))]
    for number, output in enumerate(together):
        apart = np.concatenate([outputs[number] for outputs in alone])
        np.testing.assert_allclose(output, apart, rtol=1e-5)


def goes_on_after_a_refusal(case: Case) -> None:
    """Inputs of a wrong shape raise ExecutionFailed, and the next ones are served."""
    session = case.runtime.load(case.good, case.terms)
    with pytest.raises(ExecutionFailed):
        session.run([np.zeros((1, case.rows.shape[1] + 1, 7), case.rows.dtype)])
    assert session.run([case.rows])


def tells_what_cannot_be_loaded(case: Case) -> None:
    """A broken model, and an unknown option, raise RuntimeFailure with a message."""
    with pytest.raises(RuntimeFailure, match=r"\S"):
        case.runtime.load(case.broken, case.terms).run([case.rows])
    unknown = Load(device=case.device, options={**case.options, "no_such_option": "1"})
    with pytest.raises(RuntimeFailure, match="no_such_option"):
        case.runtime.load(case.good, unknown)


def lets_go_of_what_nobody_uses(case: Case) -> None:
    """A session that nobody refers to is gone at once, without a search for cycles."""
    session = case.runtime.load(case.good, case.terms)
    session.run([case.rows])
    gone = weakref.ref(session)
    del session
    assert gone() is None


def serves_several_threads(case: Case) -> None:
    """Sessions are loaded in one thread and executed in another, several at a time."""
    with ThreadPoolExecutor(3) as pool:
        sessions = list(pool.map(lambda _: case.runtime.load(case.good, case.terms), range(3)))
        results = list(pool.map(lambda session: session.run([case.rows]), sessions * 5))
    for result in results:
        for one, other in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(one, other)


LAWS: tuple[Callable[[Case], None], ...] = (
    executes_as_it_says,
    depends_on_its_inputs_alone,
    answers_stay_as_they_were,
    batches_change_nothing,
    goes_on_after_a_refusal,
    tells_what_cannot_be_loaded,
    lets_go_of_what_nobody_uses,
    serves_several_threads,
)
