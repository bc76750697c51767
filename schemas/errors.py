"""Errors of the contracts.

ContractError
├── DecodeError          bytes that are no valid event (carries kind, field, message)
├── EncodeError          an event that does not fit its schema
├── InvalidEvent         a well-formed event with values that make no sense (kind, field, message)
└── UnknownContract      a record, version or topic that does not exist here
"""


class ContractError(Exception):
    """Base of all errors of this package."""


class DecodeError(ContractError):
    """Bytes that are no valid event.

    `kind` is one of not-framed, unknown-schema, bad-schema, wrong-record, malformed,
    trailing-bytes, too-large.
    """

    def __init__(self, kind: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.field = field


class EncodeError(ContractError):
    """An event that does not fit its schema; the message names the field."""


class InvalidEvent(ContractError):
    """A well-formed event with values that make no sense; `field` says where, `kind` what."""

    def __init__(self, kind: str, field: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.field = field


class UnknownContract(ContractError):
    """A record, version or topic that does not exist here."""
