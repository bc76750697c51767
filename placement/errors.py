"""Errors of placement.

PlacementError
└── InvalidParameters    parameters that make no sense (raised while the processor is built)

What cannot be placed or done is no error: it is a decision or an outcome that says so.
"""


class PlacementError(Exception):
    """Base of all errors of this package."""


class InvalidParameters(PlacementError):
    """Parameters that make no sense; the message names the one and what is allowed."""
