"""TODO."""

from __future__ import annotations

from collections.abc import Mapping


class _Failure(Exception):  # noqa: N818 - an outcome of policies, caught here
    """Policies failed while the policies met; why, by their names."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = reasons
