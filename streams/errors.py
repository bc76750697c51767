"""Errors of the composition.

StreamsError
├── SettingsError        a settings file or variable that cannot be used; names the key
├── HostingError         a processor that this host cannot run; says which can
├── RegistrationError    a registration that cannot be accepted; says why
├── SeriesError          labelled series that cannot be read; names the file
├── ProfilesError        profiles of models that cannot be read; names the file
└── StackError           a part of the embedded stack did not start, ended, or outgrew its bound
"""


class StreamsError(Exception):
    """Base of all errors of this package."""


class SettingsError(StreamsError):
    """A settings file or variable that cannot be used; the message names the key."""


class HostingError(StreamsError):
    """A processor that this host cannot run; the message says which can."""


class RegistrationError(StreamsError):
    """A registration that cannot be accepted; the message says why and what would be."""


class SeriesError(StreamsError):
    """Labelled series that cannot be read; the message names the file and what is wrong."""


class ProfilesError(StreamsError):
    """Profiles of models that cannot be read; the message names the file and what is wrong."""


class StackError(StreamsError):
    """A part of the embedded stack did not start, ended unasked, or outgrew its bound."""
