"""What is asked of those who keep something of people. Pure."""

from schemas.identity import stable_id
from schemas.registrations import ErasureRequested
from streams.errors import RegistrationError


def erasure(user: str, app: str, before: int, reason: str, now_ms: int) -> ErasureRequested:
    """Return the request to erase what is kept of a person before an instant, ms.

    Raises RegistrationError for no name, and for an instant to come.
    """
    if not user:
        raise RegistrationError("whom shall be forgotten? give the id that requests name")
    if before > now_ms:
        raise RegistrationError(
            "what has not happened yet cannot be erased; give an earlier instant"
        )
    return ErasureRequested(
        event_id=stable_id("erasure", user, app, before, now_ms),
        user=user,
        app=app,
        before=before,
        reason=reason,
        requested_at=now_ms,
    )
