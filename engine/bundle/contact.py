"""Whom to ask about a policy: what its document, or else its bundle's, says in annotations."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.documents import (
    Bad,
    Map,
    Problem,
    Problems,
    Scalar,
    Value,
    bad,
    described,
    did_you_mean,
    label_key,
    mapping,
    schema_of,
    text,
)

PREFIX = "bayplan.dev/"
OWNER, LINK = f"{PREFIX}owner", f"{PREFIX}link"
MAX_OWNER, MAX_LINK = 63, 120
"""Characters: of what stands in a warning, which holds 256, the reason is to be read, too."""
SCHEMES = ("https://", "http://", "mailto:")


class Contact(NamedTuple):
    """Who answers for a policy (a team, an address), and where more is told of it. Either may be empty."""

    owner: str = ""
    link: str = ""

    def __str__(self) -> str:
        """`ask platform-team, https://wiki.example/gpu`; empty where nobody is named."""
        if not self.owner:
            return f"see {self.link}" if self.link else ""
        return ", ".join(filter(None, (f"ask {self.owner}", self.link)))

    def over(self, default: Contact) -> Contact:
        """The same, with what it does not say as the default says it."""
        return Contact(self.owner or default.owner, self.link or default.link)


NOBODY = Contact()
_annotations = mapping(label_key, text)


def contact_in(annotations: Any) -> Contact:
    """The contact that annotations as `annotated` reads them name."""
    return Contact(annotations.get(OWNER, ""), annotations.get(LINK, ""))


@described(schema_of(_annotations))
def annotated(value: Value, problems: Problems) -> dict[str, str] | Bad:
    """A document's annotations. Those of PREFIX are checked, for people read them beside a refusal."""
    read: dict[str, str] | Bad = _annotations(value, problems)
    for key, given in value.entries if isinstance(value, Map) else ():
        if not isinstance(key, Scalar) or not key.text.startswith(PREFIX) or not isinstance(given, Scalar):
            continue
        if key.text not in (OWNER, LINK):
            message = f"`{key.text}` means nothing here"
            hint = did_you_mean(key.text, (OWNER, LINK))
            expected = "" if hint else f"`{OWNER}` or `{LINK}`"
            problems.append(Problem("unknown-annotation", message, key.span, expected, hint, severity="warning"))
        elif isinstance(given.value, str) and isinstance(read, dict) and (why := _wrong(key.text, given.value)):
            bad(problems, "contact", why[0], given.span, why[1])
            read.pop(key.text, None)
    return read


def _wrong(key: str, said: str) -> tuple[str, str] | None:
    """What is wrong with an owner or a link, and what is expected."""
    most = MAX_OWNER if key == OWNER else MAX_LINK
    if not said.strip() or not said.isprintable():
        return ("this is empty" if not said.strip() else "this is not one line of text"), "one line of text"
    if len(said) > most:
        return f"this has {len(said)} characters", f"at most {most}, for it stands beside the reason in each refusal"
    if key == LINK and (not said.startswith(SCHEMES) or " " in said or said in SCHEMES):
        return f"`{said}` is no address", "an address that begins with " + ", ".join(f"`{one}`" for one in SCHEMES)
    return None
