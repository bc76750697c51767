"""Why a call is not answered as asked: what is wrong, where, and what to do. Pure."""

from typing import Any

from workers.errors import WorkerError


class NotServing(WorkerError):
    """A gateway cannot listen as it is told to; the message says why."""


class Refusal(Exception):
    """A call that is refused: status of HTTP, and in `after_s` when to try again, 0 for never."""

    def __init__(
        self, status: int, what: str, where: str, remedy: str, *, after_s: int = 0, **more: Any
    ) -> None:
        super().__init__(what)
        self.status, self.what, self.where, self.remedy = status, what, where, remedy
        self.after_s, self.more = after_s, more

    def headers(self) -> dict[str, str]:
        """Return what is to be said besides: when to try again, how to be let in."""
        told = {"Retry-After": str(self.after_s)} if self.after_s else {}
        return told | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})

    def body(self) -> dict[str, Any]:
        """Return it as plain data; `error` is what the Open Inference Protocol calls it."""
        told = {"what": self.what, "where": self.where, "remedy": self.remedy}
        return {"error": self.what} | told | self.more
