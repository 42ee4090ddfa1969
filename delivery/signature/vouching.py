"""The question that activation asks of a bundle, answered by what is trusted at that time."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from delivery.content import Content
from delivery.signature.trust import Trust, Verified
from delivery.signature.verify import verified


def vouching(trust: Callable[[], Trust]) -> Callable[[Content, str, str, str, float], Verified]:
    """Says who vouches for a content, given its bundle's name and version, the version seen last, and the time.

    Times are seconds since 1970. What is trusted is asked for each time: keys are exchanged while a process runs.
    Raises SignatureError.
    """

    def vouch(content: Content, bundle_name: str, version: str, seen: str, now: float) -> Verified:
        return verified(
            content, bundle_name, version, trust(), seen, datetime.datetime.fromtimestamp(now, datetime.UTC)
        )

    return vouch
