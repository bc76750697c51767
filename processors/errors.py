"""Errors of the processors.

ProcessorError
├── CombinerFailed       what a combiner of others raised (`routing.votes`)
├── InvalidParameters    parameters that make no sense (raised while a processor is built)
├── Mistake              an expression that is refused, and where (`expressions.tree`)
├── PluginError          what a plug-in raised
├── PluginFailed         a plug-in raised, or returned what is no number (`defining.plugins`)
└── UnknownStatistic     a statistic or operator that no observation answers

Bad input never arrives: hosts make it a dead letter before. Anything else that a processor
raises is a bug.
"""


class ProcessorError(Exception):
    """Base of all errors of this package."""


class InvalidParameters(ProcessorError):
    """Parameters that make no sense; the message names the one and the allowed range."""


class UnknownStatistic(ProcessorError):
    """A statistic or operator that no observation answers; the message lists the known ones."""


class PluginError(ProcessorError):
    """What the function of a plug-in raised, told by whoever loaded it."""
