"""What a command can't go on with, said so that its user can."""

from __future__ import annotations


class CommandError(Exception):
    """A mistake in how a command was called, or in a file that it was given: printed without a traceback, exit 2."""


class UnsoundError(CommandError):
    """A bundle that was to be compared with another is no sound one."""
