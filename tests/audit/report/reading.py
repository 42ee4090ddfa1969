"""A page as a browser reads it, without one: its elements with their attributes, and the text that is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "rect"}
SILENT = {"script", "style", "title"}


class Element:
    def __init__(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tag, self.attributes = tag, {name: value or "" for name, value in attributes}
        self.text = ""


@dataclass
class Page:
    elements: list[Element] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def tags(self) -> Counter[str]:
        return Counter(one.tag for one in self.elements)

    def every(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [one for one in self.elements if one.tag == tag and wanted.items() <= one.attributes.items()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class _Reader(HTMLParser):
    BREAKS = frozenset(
        [
            "p",
            "h1",
            "h2",
            "h3",
            "h4",
            "li",
            "tr",
            "div",
            "section",
            "summary",
            "details",
            "pre",
            "dt",
            "dd",
            "label",
            "table",
            "ul",
            "text",
            "option",
        ]
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page, self.open, self.line = Page(), list[Element](), ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, attrs)
        self.page.elements.append(element)
        if tag not in VOID:
            self.open.append(element)
        if tag in self.BREAKS or tag == "br":
            self.end_line()
        elif tag in ("td", "th"):
            self.line += " | "

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.append(Element(tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open[-1].tag == tag, f"</{tag}> stands inside <{self.open[-1].tag}>"
        self.open.pop()
        if tag in self.BREAKS:
            self.end_line()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data
        if not any(one.tag in SILENT for one in self.open):
            self.line += data

    def end_line(self) -> None:
        pre = any(one.tag == "pre" for one in self.open)
        told = self.line.split("\n") if pre else [" ".join(self.line.split())]
        self.page.lines += [line.rstrip() for line in told if line.strip(" |\n")]
        self.line = ""


def read(page: bytes) -> Page:
    """The page; every element that is opened is closed in order."""
    reader = _Reader()
    reader.feed(page.decode())
    reader.close()
    reader.end_line()
    assert [one.tag for one in reader.open] == []
    return reader.page
