"""Named formats (`format.dns1123Label().validate(s)`), with the messages of Kubernetes' own validation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import final

from engine.language.functions.urls import url
from engine.language.overload import Overload, by_length
from engine.language.types import STRING, Type, list_of, optional_of
from engine.language.values import NOTHING, CelError, Opaque, Optional
from engine.struct import Struct

FORMAT = Type("kubernetes.NamedFormat")
Problems = list[str]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = f"({_NAME})?"
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z", re.IGNORECASE)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:?[0-9]{2})\Z"
)

_LABEL_SAYS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_LABEL_1035_SAYS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    f"and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{_LABEL_1035}')"
)
_SUBDOMAIN_SAYS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_NAME_SAYS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_VALUE_SAYS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')"
)


@final
class Format(Struct, Opaque, frozen=True):
    """A format: its name, and what finds the problems of a text."""

    name: str
    problems: Callable[[str], Problems]

    type_name = "kubernetes.NamedFormat"


def _limited(pattern: str, says: str, length: int, unit: str = "characters") -> Callable[[str], Problems]:
    compiled = re.compile(pattern + r"\Z")

    def problems(text: str) -> Problems:
        long = [f"must be no more than {length} {unit}"] if len(text.encode("utf-8", "surrogatepass")) > length else []
        return long if long and unit == "bytes" and compiled.match(text) else [*long, *_unless(compiled, text, says)]

    return problems


def _unless(pattern: re.Pattern[str], text: str, says: str) -> Problems:
    return [] if len(text) <= 4096 and pattern.match(text) else [says]


def _prefix(problems: Callable[[str], Problems]) -> Callable[[str], Problems]:
    """A prefix of a name may end in a dash: something follows it."""

    def of_prefix(text: str) -> Problems:
        return problems(text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text)

    return of_prefix


_subdomain = _limited(_SUBDOMAIN, _SUBDOMAIN_SAYS, 253)
_name_pattern = re.compile(_NAME + r"\Z")


def _qualified_name(text: str) -> Problems:
    prefix, slash, name = text.partition("/")
    if "/" in name:
        return [
            f"a valid label key {_NAME_SAYS} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    found: Problems = []
    if slash:
        found += [f"prefix part {said}" for said in _subdomain(prefix)] if prefix else ["prefix part must be non-empty"]
    else:
        name = prefix
    if not name:
        found.append("name part must be non-empty")
    elif len(name.encode("utf-8", "surrogatepass")) > 63:
        found.append("name part must be no more than 63 bytes")
    return found + _unless(_name_pattern, name, f"name part {_NAME_SAYS}")


def _uri(text: str) -> Problems:
    try:
        url(text)
    except CelError as error:
        return [str(error)]
    return []


def _date(text: str) -> Problems:
    try:
        if _DATE.match(text):
            date.fromisoformat(text)
            return []
    except ValueError:
        pass
    return ["invalid date"]


def _datetime(text: str) -> Problems:
    found = _TIME.match(text)
    try:
        if found:
            datetime.fromisoformat(f"{found[1]}T{found[2]}")
            return []
    except ValueError:
        pass
    return ["invalid datetime"]


def _matching(pattern: re.Pattern[str], says: str) -> Callable[[str], Problems]:
    return lambda text: [] if pattern.match(text) else [says]


_label, _label_1035 = _limited(_LABEL, _LABEL_SAYS, 63), _limited(_LABEL_1035, _LABEL_1035_SAYS, 63)

FORMATS: Mapping[str, Format] = MappingProxyType({
    name: Format(name, problems)
    for name, problems in {
        "dns1123Label": _label,
        "dns1123Subdomain": _subdomain,
        "dns1035Label": _label_1035,
        "qualifiedName": _qualified_name,
        "dns1123LabelPrefix": _prefix(_label),
        "dns1123SubdomainPrefix": _prefix(_subdomain),
        "dns1035LabelPrefix": _prefix(_label_1035),
        "labelValue": _limited(_VALUE, _VALUE_SAYS, 63, "bytes"),
        "uri": _uri,
        "uuid": _matching(_UUID, "does not match the UUID format"),
        "byte": _matching(_BASE64, "invalid base64"),
        "date": _date,
        "datetime": _datetime,
    }.items()
})  # fmt: skip


def named(name: str) -> Optional:
    """The format of a name, or nothing."""
    return Optional(FORMATS[name]) if name in FORMATS else NOTHING


def validate(format_: Format, text: str) -> Optional:
    """The problems of a text, or nothing if it is of the format."""
    problems = format_.problems(text)
    return Optional(problems) if problems else NOTHING


def _constant(format_: Format) -> Callable[[], Format]:
    return lambda: format_


OVERLOADS: tuple[Overload, ...] = (
    *(
        Overload(f"format.{name}", f"format.{name}", (), FORMAT, _constant(format_), library="format",
                 example=f'format.{name}().validate("\\n").hasValue()')
        for name, format_ in FORMATS.items()
    ),
    Overload("format.named", "format-named", (STRING,), optional_of(FORMAT), named, library="format",
             example='format.named("uuid").hasValue()'),
    Overload("validate", "format-validate", (FORMAT, STRING), optional_of(list_of(STRING)), validate, method=True,
             library="format", cost=by_length, example='!format.dns1123Label().validate("my-name").hasValue()'),
)  # fmt: skip
