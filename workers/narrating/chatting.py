"""One call of an OpenAI-compatible endpoint: POST <url>/chat/completions, and what it answered."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workers.http_asking import Answer, Unanswered, ask_now
from workers.narrating.redacting import printable
from workers.settings_outside import NarrateSettings

TOLD, TIMEOUT, FAILED, REFUSED, OVER_BUDGET = "told", "timeout", "failed", "refused", "over-budget"
MOST_BYTES: Final = 262_144
MOST_TEXT: Final = 4_000
Message = dict[str, str]
Ask = Callable[[str, bytes, dict[str, str], float, int], Answer]


@dataclass(frozen=True, slots=True)
class Told:
    """How a call ended: `status` as in DiagnosisNarrated; `again` when it may be repeated."""

    status: str
    text: str = ""
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    message: str = ""
    again: bool = False
    retry_after_s: float | None = None


def chat(settings: NarrateSettings, messages: Sequence[Message], ask: Ask = ask_now) -> Told:
    """Ask once, for as long as the settings allow; what goes wrong is an answer too."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": list(messages),
        "max_tokens": settings.max_tokens,
        "temperature": 0.0,
        "stream": False,
    }
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if secret := settings.token.get_secret_value():
        headers["Authorization"] = f"Bearer {secret}"
    url = f"{settings.url.rstrip('/')}/chat/completions"
    try:
        answer = ask(url, json.dumps(body).encode(), headers, settings.timeout_s, MOST_BYTES)
    except Unanswered as error:
        late = "did not answer within" in str(error)
        return Told(TIMEOUT if late else FAILED, message=str(error), again=True)
    return _read(answer)


def _read(answer: Answer) -> Told:
    """Return what an answer says. What a service says of its errors is not repeated."""
    if not answer.ok:
        message = f"the endpoint answered with status {answer.status}"
        if answer.again:
            return Told(FAILED, message=message, again=True, retry_after_s=answer.retry_after_s)
        return Told(REFUSED, message=message)
    if len(answer.body) >= MOST_BYTES:
        return Told(FAILED, message=f"an answer of {MOST_BYTES} bytes or more is not read")
    try:
        return _said(json.loads(answer.body))
    except (ValueError, RecursionError):
        return Told(FAILED, message="the answer is no JSON")


def _said(found: Any) -> Told:
    text = _text(found)
    if text is None:
        return Told(FAILED, message="the answer has no text at choices[0].message.content")
    told = printable(text, MOST_TEXT)
    usage = found.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    spent = _count(counted.get("prompt_tokens")), _count(counted.get("completion_tokens"))
    model = found.get("model")
    named = printable(model, 200) if isinstance(model, str) else ""
    if not told:
        return Told(FAILED, "", named, *spent, message="the answer is empty")
    return Told(TOLD, told, named, *spent)


def _text(found: Any) -> str | None:
    match found:
        case {"choices": [{"message": {"content": str(text)}}, *_]}:
            return text
        case _:
            return None


def _count(number: Any) -> int:
    """Return a number of tokens, 0 for what is none."""
    known = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 10**9
    return int(number) if known else 0
