"""Which texts the API server takes as names, labels, taints, and CEL as identifiers: their own syntax rules.

Source: k8s.io/apimachinery/pkg/util/validation and pkg/api/validate/content (1.36).
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from functools import lru_cache

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
"""The fields of an affinity, of nodes or pods, for what must hold and for what is wished for."""

MAX_NAME = 63
MAX_SUBDOMAIN = 253
MAX_KEY = MAX_SUBDOMAIN + 1 + MAX_NAME
_REMEMBERED = 8_192  # texts that were looked at lately, none of which is long: decisions meet the same labels again

_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_ALPHANUMERIC = (string.ascii_letters + string.digits).encode()
_KINDS = bytes(
    ord("a" if byte in _ALPHANUMERIC else "-" if byte in b"-_." else "," if byte == ord(",") else "!")
    for byte in range(256)
)
"""Of each byte of several label values, what it is: a letter or digit, inner punctuation, the comma between, wrong."""

KEYWORDS = frozenset(("false", "in", "null", "true"))
"""Words that mean something in CEL."""
_KEPT = {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package"}
RESERVED = frozenset(_KEPT | {"namespace", "return", "var", "void", "while"})
"""Words that CEL keeps for later (https://github.com/google/cel-spec, language definition, syntax)."""


def is_label_value(text: str) -> bool:
    """Empty, or at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at either end."""
    return len(text) <= MAX_NAME and _is_known_value(text)


def _is_value(text: str) -> bool:
    return not text or _LABEL.fullmatch(text) is not None


_is_known_value = lru_cache(maxsize=_REMEMBERED)(_is_value)


def are_label_values(texts: Sequence[str]) -> bool:
    """Whether each of these is a label value. Of thousands they are looked at together, and none is remembered."""
    if len(texts) < 2:
        return all(len(text) <= MAX_NAME and _is_value(text) for text in texts)
    said = f",{','.join(texts)},"
    if not said.isascii() or said.count(",") != len(texts) + 1:
        return False
    kinds = said.encode().translate(_KINDS)
    if b"!" in kinds or b",-" in kinds or b"-," in kinds:
        return False
    return len(said) <= MAX_NAME or max(map(len, texts)) <= MAX_NAME


def is_label_key(text: str) -> bool:
    """A qualified name: `name`, or `prefix/name` where the prefix is a DNS subdomain."""
    return len(text) <= MAX_KEY and _is_key(text)


@lru_cache(maxsize=_REMEMBERED)
def _is_key(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    return len(name) <= MAX_NAME and _LABEL.fullmatch(name) is not None and (not slash or is_subdomain(prefix))


def is_dns_label(text: str) -> bool:
    """A DNS label of RFC 1123, as a Namespace's name."""
    return len(text) <= MAX_NAME and _DNS_LABEL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """A DNS subdomain of RFC 1123, as most objects' names."""
    return len(text) <= MAX_SUBDOMAIN and _SUBDOMAIN.fullmatch(text) is not None


def is_identifier(text: str) -> bool:
    """What may stand after `variables.` in an expression."""
    return _IDENTIFIER.fullmatch(text) is not None and text not in KEYWORDS and text not in RESERVED
