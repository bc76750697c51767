"""What a ClickHouse server refuses, with its codes, and the HTTP status that goes with a code.

The codes and their statuses are ClickHouse's (`src/Common/ErrorCodes.cpp` and
`src/Server/HTTP/exceptionCodeToHTTPStatus.cpp`).
"""

import re

from streams.errors import StackError

SYNTAX_ERROR = (62, "SYNTAX_ERROR")
NOT_IMPLEMENTED = (48, "NOT_IMPLEMENTED")
BAD_ARGUMENTS = (36, "BAD_ARGUMENTS")
UNKNOWN_SETTING = (115, "UNKNOWN_SETTING")
READONLY = (164, "READONLY")
TOO_MANY = (202, "TOO_MANY_SIMULTANEOUS_QUERIES")
SAME_ID = (216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING")
NO_SPACE = (243, "NOT_ENOUGH_SPACE")
SESSION_NOT_FOUND = (372, "SESSION_NOT_FOUND")
SESSION_IS_LOCKED = (373, "SESSION_IS_LOCKED")
INVALID_SESSION_TIMEOUT = (374, "INVALID_SESSION_TIMEOUT")
AUTHENTICATION_FAILED = (516, "AUTHENTICATION_FAILED")

_STATUS = {
    400: {
        *(6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321),
        *(376, 427, 441, 675, 676),
    },
    401: {194},
    403: {192, 193, 497, 512, 516},
    404: {46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511},
    408: {159},
    411: {381},
    413: {229},
    415: {779},
    501: {48},
    503: {76, 209, 439},
}
_CODE = re.compile(r"Code: (\d+)\. ")


class QueryRefused(StackError):
    """A statement that was refused: ClickHouse's own code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def refused(kind: tuple[int, str], message: str) -> QueryRefused:
    """Return a refusal of our own in the words of a server."""
    code, name = kind
    return QueryRefused(code, f"Code: {code}. DB::Exception: {message} ({name})")


def refusal_of(error: RuntimeError) -> QueryRefused:
    """Return the refusal that an error of the engine is; 1002 (UNKNOWN_EXCEPTION) without code."""
    text = str(error)
    code = _CODE.search(text)
    return QueryRefused(int(code[1]), text[code.start() :]) if code else QueryRefused(1002, text)


def status_of(code: int) -> int:
    """Return the HTTP status that a server answers with for a code."""
    return next((status for status, codes in _STATUS.items() if code in codes), 500)
