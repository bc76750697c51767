"""Do the processes of the stack that runs out of the data directory do well?"""

from dataclasses import dataclass

from streams.doctor.findings import Finding, fail, ok, warn
from streams.doctor.installation import Site
from streams.running import State

NEARLY = 0.8


@dataclass(frozen=True, slots=True)
class Facts:
    """The stack as it last described itself; None when none runs here."""

    state: State | None
    data_dir: str


def gather(site: Site) -> Facts:
    """Take what the stack wrote."""
    return Facts(site.given.state, str(site.settings.data_dir))


def judge(facts: Facts) -> list[Finding]:
    """Return what there is to say."""
    state = facts.state
    if state is None:
        told = f"no stack runs out of {facts.data_dir}"
        return [ok("stack", told, "none is needed where processes run elsewhere")]
    found = []
    for part in state.parts:
        if not part.ready:
            how = "is not ready" if part.alive else "has ended"
            found.append(fail(part.name, how, f"its log: {part.log}", "weir status; read its log"))
        elif part.restarts:
            told = f"was started again {part.restarts} times"
            found.append(warn(part.name, told, f"its log: {part.log}", "read its log"))
        if part.name == "broker" and part.memory_mib > NEARLY * state.limit_mib:
            told = f"holds {part.memory_mib:.0f} of {state.limit_mib} MiB"
            mend = "weir up --broker-limit-mib, or Apache Kafka for long runs"
            found.append(warn("broker", told, "everything stops at the limit", mend))
    return found or [ok("stack", f"{len(state.parts)} processes are ready")]
