"""Why a bundle is refused at the step of its signature."""

from __future__ import annotations

from typing import Literal, get_args

Fault = Literal[
    "no-keys",
    "unsigned",
    "unreadable",
    "unsupported",
    "unknown-key",
    "unknown-identity",
    "damaged",
    "no-statement",
    "bad-statement",
    "wrong-digest",
    "wrong-name",
    "wrong-version",
    "not-yet-valid",
    "expired",
    "older",
]
"""What can be wrong, in the order in which it is looked at: what comes later is nearer to being right."""
FAULTS: tuple[Fault, ...] = get_args(Fault)


class SignatureError(Exception):
    """What speaks for a bundle is not enough. The text names the field, says what is wrong with it, and what to do."""

    step: Literal["signature"] = "signature"

    def __init__(self, fault: Fault, field: str, reason: str, remedy: str) -> None:
        super().__init__(f"{field}: {reason}; {remedy}")
        self.fault, self.field, self.reason, self.remedy = fault, field, reason, remedy
