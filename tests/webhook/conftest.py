"""Servers of these tests run in the tests' own process, which holds what all the tests before have left.

To give memory back, they would look through gigabytes of it, for seconds in which no thread gets any. Whether a process
of its own gives it back is tested with one (test_floods).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from webhook import memory


@pytest.fixture(scope="session", autouse=True)
def memory_stays() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "GROWTH", sys.maxsize)
        yield
