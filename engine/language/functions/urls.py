"""URLs, as in Kubernetes' url library (Go's net/url): absolute ones, or rooted paths."""

from __future__ import annotations

import re
from typing import final
from urllib.parse import unquote_to_bytes

from engine.language.functions.addresses import is_ip
from engine.language.functions.strings import by_result
from engine.language.overload import Overload, by_length
from engine.language.types import BOOL, STRING, Type, list_of, map_of
from engine.language.values import CelError, Opaque, quoted
from engine.struct import Struct

URL = Type("kubernetes.URL")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PORT = re.compile(r"(:[0-9]*)?\Z")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*\Z")
_BAD_IN_HOST = re.compile(r"[\x20#%/?@\\^`{|}]")
_ASCII_ESCAPE = re.compile(r"%[0-7][0-9A-Fa-f]")
_PATH_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~$&+,/:;=@")
_PATH_ALLOWED = re.compile(r"[A-Za-z0-9\-_.~$&+,/:;=@!'()*\[\]%]*\Z")


@final
class Url(Struct, Opaque, frozen=True):
    """The parts of a URL: `host` with its port, `path` unescaped but for what the escaped form decides."""

    scheme: str
    user: str
    host: str
    path: str
    query: str
    fragment: str

    type_name = "kubernetes.URL"


def url(text: str) -> Url:
    """Reads an absolute URL or a rooted path. Raises CelError for anything else."""
    if not text:
        raise CelError("an empty text is not a URL")
    if _CONTROL.search(text):
        raise _wrong(text, "it has a control character")
    if text == "*":
        return Url("", "", "", "*", "", "")
    whole, _, fragment = text.partition("#")
    if _SCHEME.match(text) is None and text.startswith(":"):
        raise _wrong(text, "there is no scheme before the colon")
    found = _SCHEME.match(whole)
    scheme = found[1].lower() if found else ""
    rest, _, query = whole[found.end() if found else 0 :].partition("?")
    if _BAD_ESCAPE.search(fragment):
        raise _wrong(text, "an escape is not two hexadecimal digits")
    if not rest.startswith("/"):
        if not scheme:
            raise _wrong(text, "it is neither absolute nor a rooted path")
        return Url(scheme, "", "", "", query, fragment)
    authority = ""
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
    if _BAD_ESCAPE.search(rest):
        raise _wrong(text, "an escape is not two hexadecimal digits")
    user, at, host = authority.rpartition("@")
    if at and (not _USER.match(user) or _BAD_ESCAPE.search(user)):
        raise _wrong(text, "the user is invalid")
    return Url(scheme, user, _host(host, scheme, text), rest, query, fragment)


def _host(host: str, scheme: str, text: str) -> str:
    if host.startswith("["):
        inside, bracket, port = host[1:].rpartition("]")
        if not bracket or not _PORT.match(port):
            raise _wrong(text, "the host is invalid")
        address, zone, name = inside.partition("%25")
        known = is_ip(address) or re.fullmatch(r"::[fF]{4}:[0-9a-fA-F:.]+", address)
        if not known or ":" not in address or _BAD_ESCAPE.search(name):
            raise _wrong(text, "the host is invalid")
        return f"[{address}{'%' + _decoded(name) if zone else ''}]{port}"
    first, last = host.find(":"), host.rfind(":")
    if first >= 0 and not _PORT.match(host[first if scheme in ("http", "https") else last :]):
        raise _wrong(text, "the port is invalid")
    if (
        "[" in host
        or _BAD_ESCAPE.search(host)
        or _ASCII_ESCAPE.search(host)
        or _BAD_IN_HOST.search(host.replace("%", ""))
    ):
        raise _wrong(text, "the host is invalid")
    return _decoded(host)


def _decoded(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _wrong(text: str, reason: str) -> CelError:
    return CelError(f"{quoted(text)} is not a URL: {reason}")


def is_url(text: str) -> bool:
    try:
        url(text)
    except CelError:
        return False
    return True


def scheme(value: Url) -> str:
    return value.scheme


def host(value: Url) -> str:
    """With the port, as in Kubernetes."""
    return value.host


def hostname(value: Url) -> str:
    """Without port and brackets."""
    name = value.host.rpartition(":")[0] if _port(value.host) is not None else value.host
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def port(value: Url) -> str:
    """The port's digits, or an empty string."""
    return _port(value.host) or ""


def _port(host: str) -> str | None:
    before, colon, digits = host.rpartition(":")
    inside = before.startswith("[") and not before.endswith("]")
    return digits if colon and not inside and (digits.isdigit() or digits == "") else None


def escaped_path(value: Url) -> str:
    """The path as it stood, if that is a valid way to write it; else escaped anew."""
    if _PATH_ALLOWED.match(value.path):
        return value.path
    raw = unquote_to_bytes(value.path.encode("utf-8", "surrogatepass"))
    return "".join(chr(byte) if byte in _PATH_SAFE else f"%{byte:02X}" for byte in raw)


def query(value: Url) -> dict[str, list[str]]:
    """The values of each key in order; a pair that is no proper pair is left out."""
    result: dict[str, list[str]] = {}
    for pair in value.query.split("&"):
        if not pair or ";" in pair or _BAD_ESCAPE.search(pair):
            continue
        key, _, content = pair.partition("=")
        result.setdefault(_unplussed(key), []).append(_unplussed(content))
    return result


def _unplussed(text: str) -> str:
    return _decoded(text.replace("+", " "))


OVERLOADS: tuple[Overload, ...] = (
    Overload("url", "string_to_url", (STRING,), URL, url, library="url", cost=by_result,
             example='url("https://a.b/c") == url("https://a.b/c")'),
    Overload("isURL", "is_url_string", (STRING,), BOOL, is_url, library="url", cost=by_result,
             example='isURL("https://a.b/c") && !isURL("a.b")'),
    Overload("getScheme", "url_get_scheme", (URL,), STRING, scheme, method=True, library="url",
             example='url("HTTPS://a.b/c").getScheme() == "https"'),
    Overload("getHost", "url_get_host", (URL,), STRING, host, method=True, library="url",
             example='url("https://a.b:80/c").getHost() == "a.b:80"'),
    Overload("getHostname", "url_get_hostname", (URL,), STRING, hostname, method=True, library="url",
             example='url("https://[::1]:80/c").getHostname() == "::1"'),
    Overload("getPort", "url_get_port", (URL,), STRING, port, method=True, library="url",
             example='url("https://a.b:80/c").getPort() == "80"'),
    Overload("getEscapedPath", "url_get_escaped_path", (URL,), STRING, escaped_path, method=True, library="url",
             cost=by_length, example='url("https://a.b/c d").getEscapedPath() == "/c%20d"'),
    Overload("getQuery", "url_get_query", (URL,), map_of(STRING, list_of(STRING)), query, method=True, library="url",
             cost=by_length, example='url("https://a.b/?k=1&k=2").getQuery() == {"k": ["1", "2"]}'),
)  # fmt: skip
