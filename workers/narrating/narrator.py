"""Narrates diagnoses: each that is told becomes one DiagnosisNarrated, whatever became of it.

It reads weir.quality in a group of its own, so that nothing waits for it, and asks one thing at a
time. When it comes behind, only the newest diagnosis of a spell is narrated; those older than
`max_age_s` are passed over. What was narrated and spent today is read from weir.narratives at the
start, so that a restart neither asks again nor spends twice.
"""

from collections.abc import Callable, Iterable, Sequence

from schemas.identity import stable_id
from schemas.observing import QualityEvaluated
from schemas.quality import DiagnosisNarrated
from workers.clock import wall_ms
from workers.http_asking import ask_now
from workers.narrating import chatting
from workers.narrating.budget import Budget, estimated
from workers.narrating.chatting import Ask, Told
from workers.narrating.prompting import messages
from workers.settings_outside import NarrateSettings
from workers.telemetry import logger

TIER, DEGRADED = "diagnosis", "degraded"
MOST_KNOWN = 4_096
_PAUSES_S = (1.0, 3.0, 10.0)
_LONGEST_PAUSE_S = 30.0
Wait = Callable[[float], bool]
"""Waits so many seconds; True when asked to stop."""

log = logger(__name__)


class Narrator:
    """Asks within its budget and tells how it ended; keeps no more than ids and sums."""

    def __init__(
        self,
        settings: NarrateSettings,
        wait: Wait,
        clock: Callable[[], int] = wall_ms,
        ask: Ask = ask_now,
    ) -> None:
        self._settings = settings
        self._wait = wait
        self._clock = clock
        self._ask = ask
        self._budget = Budget(settings.tokens_per_day, settings.calls_per_minute)
        self._known: dict[str, None] = {}

    def remember(self, narrated: Iterable[DiagnosisNarrated]) -> None:
        """Take note of what was narrated before."""
        for one in narrated:
            self._note(one.diagnosis)
            self._budget.spend(one.prompt_tokens + one.completion_tokens, one.narrated_at)

    def wanted(self, told: Sequence[QualityEvaluated]) -> list[QualityEvaluated]:
        """Return which of some verdicts are to be narrated: the newest diagnosis of each spell."""
        oldest = self._clock() - round(self._settings.max_age_s * 1000)
        newest: dict[str, QualityEvaluated] = {}
        for one in told:
            if one.tier == TIER:
                newest[one.spell] = one
        return [
            one
            for one in newest.values()
            if one.verdict == DEGRADED
            and one.root_causes
            and one.event_id not in self._known
            and one.evaluated_at >= oldest
        ]

    def narrate(self, diagnosis: QualityEvaluated) -> DiagnosisNarrated | None:
        """Ask, again where that may help, and return how it ended; None when asked to stop."""
        prompt = messages(diagnosis, self._settings.redact)
        begun = self._clock()
        told = self._asked(prompt)
        if told is None:
            return None
        now = self._clock()
        self._note(diagnosis.event_id)
        log.info("narrate.ended", app=diagnosis.app, status=told.status, reason=told.message)
        return DiagnosisNarrated(
            event_id=stable_id("narrative", diagnosis.event_id),
            app=diagnosis.app,
            diagnosis=diagnosis.event_id,
            status=told.status,
            text=told.text,
            model=told.model or self._settings.model,
            prompt_tokens=told.prompt_tokens,
            completion_tokens=told.completion_tokens,
            latency_ms=float(now - begun),
            message=told.message,
            narrated_at=now,
            causes=(diagnosis.event_id,),
        )

    def _asked(self, prompt: list[dict[str, str]]) -> Told | None:
        """Ask as often as the settings allow; every call counts, whatever came of it."""
        least = sum(estimated(message["content"]) for message in prompt)
        told = Told(chatting.OVER_BUDGET)
        for attempt in range(self._settings.attempts):
            objection = self._budget.objection(least + self._settings.max_tokens, self._clock())
            if objection:
                return Told(chatting.OVER_BUDGET, message=objection)
            pause_ms = self._budget.pause_ms(self._clock())
            if pause_ms > 0 and self._wait(pause_ms / 1000):
                return None
            self._budget.called(self._clock())
            told = chatting.chat(self._settings, prompt, self._ask)
            spent = told.prompt_tokens + told.completion_tokens
            self._budget.spend(spent or least, self._clock())
            last = attempt + 1 == self._settings.attempts
            if not told.again or last:
                return told
            if self._wait(_pause_s(told, attempt)):
                return None
        return told

    def _note(self, diagnosis: str) -> None:
        self._known[diagnosis] = None
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]


def _pause_s(told: Told, attempt: int) -> float:
    usual = _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]
    asked = told.retry_after_s if told.retry_after_s is not None else usual
    return min(_LONGEST_PAUSE_S, max(usual, asked))
