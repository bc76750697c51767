"""Where answers leave: to weir.responses, to whoever asked for them elsewhere, and to memory."""

from dataclasses import replace

from processors.routing import replies
from processors.routing.admission import is_own
from processors.routing.answers import Answers
from processors.routing.explaining import explained, held, with_unmet
from processors.routing.plans import Plan
from processors.routing.state import Pending
from schemas.catalogue import Catalogue
from schemas.codec import pack
from schemas.inference import InferenceRequest, InferenceResponse, InferenceTask
from schemas.packed import Packed, Told
from schemas.processing import Directed, Output, Record
from schemas.registrations import ContractRegistered
from schemas.topics import task_topic


class Desk:
    """Gives answers, once encoded, and gives them again; what is to be sent stands in `out`."""

    def __init__(self, answers: Answers, window_ms: int) -> None:
        self._answers = answers
        self._window_ms = window_ms
        self._now = 0
        self._catalogue = Catalogue()
        self.out: list[Output | Packed] = []

    def open(self, now_ms: int, catalogue: Catalogue) -> None:
        """Begin a batch with nothing to be sent."""
        self._now, self._catalogue = now_ms, catalogue
        self.out = []

    def sealed(self) -> Told:
        """Return what is to be sent, tasks as Avro."""
        return Told([_sealed(one) if type(one) is InferenceTask else one for one in self.out])

    def answer(self, pending: Pending, plan: Plan) -> None:
        """Answer a request from what has arrived, or refuse it as was decided."""
        request = pending.request
        if pending.refused:
            self.reject(request, pending.refused)
            return
        response = replies.answer(pending, plan, self._now)
        contract = self._catalogue.get(ContractRegistered, request.contract)
        if contract is not None:
            response = replace(response, clauses=held(response, contract))
        if pending.selected is not None and pending.selected.unmet:
            response = with_unmet(response, pending.selected)
        if request.explain:
            response = explained(response, pending.selected)
        self._give(response, request)

    def reject(self, request: InferenceRequest, reason: str) -> None:
        """Refuse a request."""
        self._give(replies.rejection(request, reason, self._now), request)

    def refuse_unknown(self, request: InferenceRequest, record: Record) -> None:
        """Refuse a request for an application that nobody has."""
        why = f"no application {request.app!r} is registered; see `weir apps list`"
        self.out.append(replies.dead_letter(record, "unknown-app", "app", why, self._now))
        self.reject(request, why)

    def refuse_id(self, request: InferenceRequest, record: Record) -> None:
        """Refuse another request under an id that is taken, without touching the first one's."""
        why = f"request id {request.request_id!r} is another request's; choose a new one"
        self.out.append(replies.dead_letter(record, "id-taken", "request_id", why, self._now))
        self._direct(replies.rejection(request, why, self._now), request)

    def again(self, response: InferenceResponse, request: InferenceRequest) -> None:
        """Give an answer that was given before."""
        self._send(response, pack(response), request)

    def give_as(self, given: InferenceResponse, request: InferenceRequest) -> None:
        """Answer a request as another one was answered that asked the same."""
        self._give(replies.repeated(given, request, self._now), request)

    def _give(self, response: InferenceResponse, request: InferenceRequest) -> None:
        expires_at = max(request.deadline, self._now) + self._window_ms
        body = pack(response)
        self._answers.give(response.request_id, body, expires_at, self._now)
        self._send(response, body, request)

    def _send(self, response: InferenceResponse, body: bytes, request: InferenceRequest) -> None:
        self.out.append(Packed(InferenceResponse, response.request_id, body))
        self._direct(response, request)

    def _direct(self, response: InferenceResponse, request: InferenceRequest) -> None:
        reply_to = request.reply_to_topic
        if reply_to and not is_own(reply_to):
            self.out.append(Directed(response, reply_to, request.reply_to_partition))


def _sealed(task: InferenceTask) -> Packed:
    return Packed(InferenceTask, task.request_id, pack(task), task_topic(task.worker))
