"""The errors of the library.

The text of every error says what was wrong, with which input, and what to do about it:
it is shown to an artist as it is.
"""


class HoloTimeError(Exception):
    """Base of everything this library raises on purpose. ``exit_code`` is what the command line ends with."""

    exit_code = 1


class InputError(HoloTimeError):
    """The caller's input cannot be used; raised before any work starts and before anything is written."""

    exit_code = 2


class BackendUnavailable(HoloTimeError):
    """A backend was asked for by name but its package, weights or hardware are not here."""

    exit_code = 3


class OutOfMemory(HoloTimeError):
    """The work does not fit into memory, even under the smallest plan."""

    exit_code = 4


class Cancelled(HoloTimeError):
    """The user asked to stop. Nothing half-made is left visible."""

    exit_code = 130
