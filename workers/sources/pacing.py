"""Which frame is due: a steady rate, whose late frames are left out and counted. Pure.

Times are seconds of any steady clock.
"""


class Pacer:
    """Frame n is due n / rate after the start; it is late once the next one is due."""

    def __init__(self, rate_hz: float, start: float) -> None:
        self._rate_hz = rate_hz
        self._start = start
        self._next = 0

    def turn(self, now: float) -> tuple[int, float]:
        """Return the number of the frame to send, and how long to wait before that; 0 for now.

        What is due now is taken as sent; numbers that are passed over were late.
        """
        wait_s = self._start + self._next / self._rate_hz - now
        if wait_s > 0:
            return self._next, wait_s
        number = max(self._next, int((now - self._start) * self._rate_hz))
        self._next = number + 1
        return number, 0.0
