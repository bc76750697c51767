"""Runs checks side by side: each bounded in time, none able to end the others."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from schemas.errors import ContractError
from streams.doctor.checks import Check
from streams.doctor.findings import Finding, fail, skip
from streams.doctor.installation import Site
from streams.errors import StreamsError
from streams.exits import not_installed
from workers.errors import Unavailable, WorkerError


@dataclass(frozen=True, slots=True)
class Report:
    """What one check found; `blind` when it could not look."""

    check: str
    findings: tuple[Finding, ...]
    blind: bool = False


def examine(
    checks: Sequence[Check],
    site: Site,
    names: Collection[str] = (),
) -> list[Report]:
    """Run the checks of these names, all for none, and return their reports in their order.

    What a check needs is run before it; that is reported too when it could not be looked at.
    """
    wanted = set(names) or {check.name for check in checks}
    running = _Running(site)
    needed = _with_needs(checks, wanted)
    for check in needed:
        running.begin(check)
    reports = [running.report(check.name) for check in needed]
    return [each for each in reports if each.check in wanted or each.blind]


def _with_needs(checks: Sequence[Check], wanted: Collection[str]) -> list[Check]:
    """Return the wanted checks and all that they need, in the order of the table."""
    by_name = {check.name: check for check in checks}
    found, left = set(), set(wanted)
    while left:
        found |= left
        left = {need for name in left for need in by_name[name].needs} - found
    return [check for check in checks if check.name in found]


class _Running:
    """The checks under way, a thread each."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._reports: dict[str, Report] = {}
        self._done: dict[str, threading.Event] = {}
        self._checks: dict[str, Check] = {}
        self._lock = threading.Lock()

    def begin(self, check: Check) -> None:
        """Start a check; those that it needs must have been started before."""
        self._checks[check.name] = check
        self._done[check.name] = threading.Event()
        threading.Thread(target=self._run, args=(check,), name=check.name, daemon=True).start()

    def report(self, name: str) -> Report:
        """Return a check's report, after waiting for it and for what it needs as long as it may."""
        check = self._checks[name]
        for need in check.needs:
            self.report(need)
        limit_s = check.limit_s + self._site.given.watch_s
        if not self._done[name].wait(limit_s):
            told = f"there was no answer within {limit_s:.0f} s"
            mend = f"weir doctor --only {name}, with WEIR_LOG_LEVEL=DEBUG"
            self._settle(Report(name, (fail(name, told, "", mend),), blind=True))
        return self._reports[name]

    def _run(self, check: Check) -> None:
        blind = [need for need in check.needs if self.report(need).blind]
        if blind:
            told = f"not looked at: {', '.join(blind)} could not be looked at"
            self._settle(Report(check.name, (skip(check.name, told),), blind=True))
        else:
            self._settle(look(check, self._site))

    def _settle(self, report: Report) -> None:
        with self._lock:
            if report.check in self._reports:
                return
            self._reports[report.check] = report
            self._done[report.check].set()


def look(check: Check, site: Site) -> Report:
    """Return what a check finds; that it cannot look is a finding too."""
    try:
        facts = check.gather(site)
        return Report(check.name, tuple(check.judge(facts)))
    except Unavailable as error:
        finding = fail(check.name, *_split(str(error)))
    except (WorkerError, StreamsError, ContractError) as error:
        finding = fail(check.name, *_split(str(error)))
    except Exception as error:  # noqa: BLE001 - one check's mistake must not hide what others find
        finding = _unforeseen(check, error)
    return Report(check.name, (finding,), blind=True)


def _unforeseen(check: Check, error: Exception) -> Finding:
    """Return that a library is not there, which need not be, or that the check is wrong."""
    if (missing := not_installed(error)) is not None:
        return skip(check.name, f"not looked at: {missing}")
    told = f"the check failed: {type(error).__name__}: {error}"
    mend = f"tell us, with what WEIR_LOG_LEVEL=DEBUG weir doctor --only {check.name} says"
    return fail(check.name, told, "a mistake in the check, not in the installation", mend)


def _split(text: str) -> tuple[str, str, str]:
    """Return what an error says is so, nothing, and what it says to do about it."""
    what, _, mend = text.rpartition("; ")
    return (what, "", mend) if what else (text, "", "")
