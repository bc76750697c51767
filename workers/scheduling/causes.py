"""Why a job ends without execution. Pure."""

from workers.scheduling.jobs import Cause

_FULL = ("tasks", "work_ms", "most_tasks", "most_ms")
_BOUNDS = (
    "queue of {service} full: {tasks:.0f} tasks and {work_ms:.1f} ms of work wait, at most "
    "{most_tasks:.0f} and {most_ms:.1f} ms are let in; "
)

FULL = {
    "oldest": Cause("dropped", _FULL, _BOUNDS + "the oldest went"),
    "newest": Cause("dropped", _FULL, _BOUNDS + "the newest went"),
    "lowest-priority": Cause("dropped", _FULL, _BOUNDS + "the least important went"),
    "replace-by-key": Cause("dropped", _FULL, _BOUNDS + "no older one of its key waited"),
}
"""Of one service's queue, by its drop policy."""

WORKER_FULL = Cause(
    "dropped",
    _FULL,
    "worker full: {tasks:.0f} tasks and {work_ms:.1f} ms of work wait, at most {most_tasks:.0f} "
    "and {most_ms:.1f} ms are let in; {service} was worth least",
)
REPLACED = Cause(
    "dropped", ("waited_ms",), "a newer one of its key came after it had waited {waited_ms:.1f} ms"
)
EXPIRED = Cause(
    "expired",
    ("waited_ms", "late_ms"),
    "the deadline passed {late_ms:.1f} ms ago, after {waited_ms:.1f} ms in the queue",
)
AGED = Cause(
    "expired",
    ("waited_ms", "max_age_ms"),
    "it waited {waited_ms:.1f} ms; after {max_age_ms:.1f} ms its input is too old",
)
HOPELESS = Cause(
    "expired",
    ("left_ms", "needed_ms"),
    "{left_ms:.1f} ms were left; {service} is expected to take {needed_ms:.1f} ms",
)
LATE = Cause(
    "rejected",
    ("left_ms", "busy_ms", "needed_ms"),
    "{left_ms:.1f} ms were left; the worker is busy for {busy_ms:.1f} ms, and {service} is "
    "expected to take {needed_ms:.1f} ms",
)
OUTBID = Cause(
    "rejected",
    ("value_per_ms", "lateness_ms"),
    "too much work for all deadlines, by {lateness_ms:.1f} ms when it was passed over; it was "
    "worth least at {value_per_ms:.4f} per ms, and no time was left for it",
)
SPARED = Cause(
    "rejected",
    ("score", "heat", "memory", "spared"),
    "the machine is short of what it needs (score {score:.2f}, heat {heat:.2f}, memory "
    "{memory:.2f}): {spared:.0%} of its time stays free, and {service} is worth least",
)
SHED = Cause(
    "dropped",
    ("to_go_ms", "slack_ms", "expected_late", "drop_share"),
    "{to_go_ms:.1f} ms were to go and {slack_ms:.1f} ms left, more than for any other of the "
    "{expected_late:.0f} services that are expected to be late",
)
UNSERVED = Cause("rejected", (), "{service} is not served here")
