"""Sends messages to the receivers that the settings name. Secrets go into requests alone."""

from workers.clock import wall_ms
from workers.http_asking import Answer, Unanswered, ask_now, place_of
from workers.notifying import notices
from workers.notifying.outbox import Message, Terms
from workers.settings_outside import NotifySettings

MOST_ANSWER = 16_384
_ALERTS = "/api/v2/alerts"


def terms_of(settings: NotifySettings) -> Terms:
    """Return the terms that settings make."""
    named = {
        notices.WEBHOOK: settings.webhook_url.get_secret_value(),
        notices.ALERTMANAGER: settings.alertmanager_url,
    }
    return Terms(
        receivers=tuple(name for name, url in named.items() if url),
        group_ms=round(settings.group_s * 1000),
        attempts=settings.attempts,
        queue=settings.queue,
        repeat_ms=round(settings.repeat_s * 1000),
        max_age_ms=round(settings.max_age_s * 1000),
    )


def send(settings: NotifySettings, message: Message, ends_ms: int) -> Answer:
    """Send one message; raises Unanswered."""
    if message.receiver == notices.WEBHOOK:
        body = notices.webhook_body(message.identity, message.notices)
        secret = settings.webhook_secret.get_secret_value()
        headers = notices.webhook_headers(message.identity, body, secret, wall_ms())
        url = settings.webhook_url.get_secret_value()
        return ask_now(url, body, headers, settings.timeout_s, MOST_ANSWER)
    body = notices.alerts_body(message.notices, ends_ms)
    headers = {"Content-Type": "application/json", "User-Agent": "weir-notify/1"}
    token = settings.alertmanager_token.get_secret_value()
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{settings.alertmanager_url.rstrip('/')}{_ALERTS}"
    return ask_now(url, body, headers, settings.timeout_s, MOST_ANSWER)


def attempt(settings: NotifySettings, message: Message, ends_ms: int) -> tuple[str, bool, int]:
    """Send one message; return why it was not taken (empty: it was), and whether, when (ms) again.

    The words hold nothing of what the receiver answered, which may repeat what it was sent.
    """
    try:
        answer = send(settings, message, ends_ms)
    except Unanswered as error:
        return str(error), True, 0
    if answer.ok:
        return "", False, 0
    webhook = message.receiver == notices.WEBHOOK
    url = settings.webhook_url.get_secret_value() if webhook else settings.alertmanager_url
    why = f"{place_of(url)} answered {answer.status}"
    return why, answer.again, round((answer.retry_after_s or 0.0) * 1000)
