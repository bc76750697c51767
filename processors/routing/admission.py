"""Who may ask for what: the reasons for which a request is rejected."""

from dataclasses import dataclass, replace

from processors.routing.inputs import objection
from processors.routing.params import RouteParams
from processors.routing.pending import Waiting
from processors.routing.rates import Rates
from processors.routing.state import Pending
from schemas.catalogue import Catalogue
from schemas.inference import InferenceRequest
from schemas.registrations import ApplicationRegistered, ConsumerRegistered
from schemas.topics import TASKS_PREFIX, TOPICS

RESPONSES = "weir.responses"


def refusal(request: InferenceRequest, app: ApplicationRegistered, catalogue: Catalogue) -> str:
    """Return why a request for a known application is refused, or '' when it may pass."""
    reply = request.reply_to_topic
    if reply and reply != RESPONSES and is_own(reply):
        return f"reply_to_topic {reply} is one of Weir's own; name a topic of your own"
    consumer = catalogue.get(ConsumerRegistered, request.consumer)
    if consumer is None:
        return objection(request, app)
    if consumer.apps and request.app not in consumer.apps:
        allowed = ", ".join(consumer.apps)
        return f"consumer {consumer.consumer} may not use {request.app}; allowed: {allowed}"
    wanted = {stage.modality for stage in app.stages if stage.modality and not stage.inputs}
    refused = sorted(wanted - set(consumer.modalities)) if consumer.modalities else []
    if refused:
        return f"consumer {consumer.consumer} may not send {', '.join(refused)}"
    return objection(request, app)


def account_of(request: InferenceRequest, catalogue: Catalogue) -> str:
    """Return who shares room with others: a registered consumer; strangers are one together."""
    known = catalogue.get(ConsumerRegistered, request.consumer)
    return request.consumer if known is not None else ""


def crowded(account: str, waiting: Waiting, catalogue: Catalogue) -> str:
    """Return why an account may have no further request pending, or ''.

    Once half of the room is taken nobody gets more of it than its share among those who wait.
    """
    if len(waiting) < waiting.most / 2:
        return ""
    known = catalogue.of(ConsumerRegistered)
    shares = {
        name: max(0.0, known[name].share) if name in known else 1.0
        for name in {*waiting.accounts(), account}
    }
    own, whole = shares[account], sum(shares.values())
    room = waiting.most * own / whole if whole > 0 else 0.0
    held = waiting.held(account)
    if held < max(1.0, room):
        return ""
    who = f"consumer {account}" if account else "who is not registered"
    return (
        f"overloaded: {who} has {held} requests pending, its share of {waiting.most} is {room:.0f}"
    )


def same_question(one: InferenceRequest, other: InferenceRequest) -> bool:
    """Tell whether two requests of one id are one: the same asker asks the same of the same."""
    return (one.app, one.consumer, one.inputs) == (
        other.app,
        other.consumer,
        other.inputs or one.inputs,
    )


def is_own(topic: str) -> bool:
    """Tell whether a topic is one of Weir's, to which nobody may have answers directed."""
    return topic in TOPICS or topic.startswith(TASKS_PREFIX)


def priority_of(request: InferenceRequest, catalogue: Catalogue) -> int:
    """Return the priority in force: a registered consumer's own is the most it may ask for."""
    consumer = catalogue.get(ConsumerRegistered, request.consumer)
    return request.priority if consumer is None else min(request.priority, consumer.priority)


@dataclass(frozen=True, slots=True)
class Entry:
    """What becomes of a request: it waits, or it is refused; and who gives way to it."""

    pending: Pending | None = None
    refused: str = ""
    weaker: Pending | None = None


class Admission:
    """Lets requests in while there is room, each consumer at its rate and with its share."""

    def __init__(self, params: RouteParams, waiting: Waiting) -> None:
        self._params = params
        self._waiting = waiting
        self.rates = Rates(params.partitions)

    def enter(
        self,
        asked: Pending,
        app: ApplicationRegistered,
        catalogue: Catalogue,
        now_ms: int,
    ) -> Entry:
        """Return what becomes of a request; one that is too late waits to be rejected."""
        request = asked.request
        asked.priority = priority_of(request, catalogue)
        asked.account = account_of(request, catalogue)
        refused = refusal(request, app, catalogue)
        if refused:
            return Entry(refused=refused)
        refused, weaker = self._room(asked, catalogue)
        if refused:
            return Entry(refused=refused)
        left = request.deadline - now_ms
        if left <= self._params.margin_ms:
            return Entry(self._late(asked, left, now_ms), weaker=weaker)
        refused = self.rates.exceeded(request.consumer, catalogue, now_ms)
        if refused:
            return Entry(refused=refused)
        asked.app = app
        return Entry(asked, weaker=weaker)

    def _room(self, asked: Pending, catalogue: Catalogue) -> tuple[str, Pending | None]:
        """Return why there is no room, or ''; and the least important one, if it gives way."""
        full = self._waiting.overload()
        if not full:
            return crowded(asked.account, self._waiting, catalogue), None
        weaker = self._waiting.least(asked.priority)
        return ("", weaker) if weaker is not None else (full, None)

    def _late(self, asked: Pending, left: int, now_ms: int) -> Pending:
        needed = self._params.margin_ms
        asked.refused = (
            f"{left} ms to the deadline were left when it was read; more than {needed} are needed"
        )
        asked.request = replace(asked.request, inputs=())
        asked.answer_at = now_ms + self._params.grace_ms
        return asked
