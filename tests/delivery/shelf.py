"""A source in memory, which a test can have fail, change and say nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from delivery.content import Content, SourceError
from engine.struct import replace


class Shelf:
    """A `Place` that is its own source: what was published last, until `fails` says what goes wrong."""

    origin = "the shelf"

    def __init__(self) -> None:
        self.looks = self.fetches = 0
        self.closed = False
        self.fails: dict[str, SourceError | Exception] = {}
        self.meanwhile: Callable[[], object] = lambda: None
        self._content = Content("0", "the shelf at 0", {})

    @property
    def source(self) -> Shelf:
        return self

    def publish(self, files: Mapping[str, bytes], version: str = "") -> None:
        version = version or str(int(self._content.version) + 1)
        self._content = replace(self._content, version=version, origin=f"the shelf at {version}", files=dict(files))

    def look(self) -> str:
        self.looks += 1
        if "look" in self.fails:
            raise self.fails["look"]
        return self._content.version

    def fetch(self) -> Content:
        self.fetches += 1
        self.meanwhile()
        if "fetch" in self.fails:
            raise self.fails["fetch"]
        return self._content

    def close(self) -> None:
        self.closed = True
