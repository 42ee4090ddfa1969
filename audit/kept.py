"""KeptDecision: a decision with all that it takes to make it again, and World, where it was made; both as JSON.

Of the pod everything is kept but the values of its environment, and kubectl's copy of the manifest, which repeats
them. Where a policy may read these, it may say something else of what is kept; `blind` names such policies.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from audit.database import DamagedError
from engine.bundle import Bundle
from engine.decision import Decider, Decision, outcome_of, title
from engine.pods import IncomingPod, Owner, without_environment
from engine.pools import Inventory
from engine.struct import Marked

LEVEL = 1
"""How hard zlib tries: its first level takes three fifths of the room away, in a few microseconds."""
MAX_BODY = 1 << 20
"""Bytes of a decision as JSON: of a larger one, what is said of it is kept, and not the pod."""
SUMMARY = ("pod", "revision", "mode", "allowed", "message")
MAX_UNPACKED = 64 << 20

Json = Any
T = TypeVar("T")


class WorldSettings(NamedTuple):
    """What a Decider is made with besides programs and pools."""

    mode: str
    cluster: Mapping[str, Any]
    namespaces: tuple[str, ...]
    daemon_set_controllers: tuple[str, ...]


class WorldParts(NamedTuple):
    """What a world is made of: the whole revision of each bundle and the things that hold them, the digest of the
    inventory and the thing that holds it, and settings."""

    revisions: tuple[str, ...]
    bundles: tuple[int | None, ...]
    inventory_digest: str
    inventory: int
    settings: WorldSettings


class InventoryParts(NamedTuple):
    """An inventory without its pools, and the things that hold these."""

    rest: Inventory
    pools: tuple[int, ...]


class BundleText(NamedTuple):
    """A bundle as its author wrote it, and the constants as they were laid over in a cluster."""

    files: Mapping[str, str]
    params: Mapping[str, Any]
    overrides: str


class KeptDecision(Marked, frozen=True):
    """A decision that was made, as JSON, and what it was about.

    `incoming` is None where the pod was too large to be kept. `blind` are the policies that may read what was not kept
    of the pod.
    """

    unprinted = ("incoming",)

    decision: Mapping[str, Json]
    incoming: IncomingPod | None
    blind: tuple[str, ...] = ()


def body_of(decision: Decision, decider: Decider) -> bytes:
    """A decision as it is kept. What is not needed, and what must not be kept, is left out here."""
    incoming, data = decision.incoming, decision.as_json()
    whole: dict[str, Json] = {
        "pod": without_environment(incoming.pod),
        "namespace": incoming.namespace,
        "namespaceUnknown": incoming.namespace_unknown,
        "request": _asked(incoming.request),
        "owner": incoming.owner,
        "uid": incoming.uid,
        "template": None if incoming.template is None else without_environment(incoming.template),
        "blind": sorted(decider.reading_environment),
        "decision": data,
    }
    text = encoded(whole)
    if len(text) > MAX_BODY or incoming.unread:
        short = {key: data[key] for key in SUMMARY}
        short["message"] = short["message"][:1000]
        text = encoded({"decision": short})
    return packed(text)


def _asked(request: Mapping[str, Json]) -> Mapping[str, Json]:
    """A request without what authenticators add to the user (`extra`): no expression reads it."""
    user = request.get("userInfo") or {}
    return {**request, "userInfo": {key: user[key] for key in ("username", "uid", "groups") if key in user}}


def kept_decision(body: bytes) -> KeptDecision:
    """The decision that was kept so. Raises DamagedError."""
    whole = unpacked(body, dict[str, Any])
    try:
        if "pod" not in whole:
            return KeptDecision(whole["decision"], None)
        owner = whole["owner"]
        incoming = IncomingPod(
            whole["pod"],
            whole["namespace"],
            whole["request"],
            owner and Owner(*owner),
            whole["uid"],
            whole["namespaceUnknown"],
            whole["template"],
        )
        return KeptDecision(whole["decision"], incoming, tuple(whole["blind"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"what was kept of a decision lacks something: {type(error).__name__} {error}") from error


def told_of(decision: Decision) -> tuple[str, str]:
    """Whose pod a decision is about, and what it comes to, in a word."""
    would = decision.audited or decision
    return title(decision.incoming), outcome_of(would)


def bundle_text(bundle: Bundle) -> bytes:
    """A bundle as it is kept."""
    files = {source.name: source.text for source in bundle.sources}
    return packed(encoded(BundleText(files, bundle.params, bundle.overrides)))


def settings_of(decider: Decider) -> WorldSettings:
    """What a decider was made with."""
    its = decider.settings
    return WorldSettings(
        its.mode, its.cluster, tuple(sorted(its.namespaces)), tuple(sorted(its.daemon_set_controllers))
    )


def digest_of(kind: str, text: bytes) -> str:
    """What a thing is known by."""
    return f"{kind}:{hashlib.sha256(text).hexdigest()}"


def encoded(value: object) -> bytes:
    """A value as JSON."""
    return msgspec.json.encode(value)


def as_plain(value: object) -> Any:
    """A value as it is once it has been JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def packed(text: bytes) -> bytes:
    return zlib.compress(text, LEVEL)


def unpacked(body: bytes, kind: type[T]) -> T:
    """What was packed, as a value of a type. Raises DamagedError."""
    try:
        unpack = zlib.decompressobj()
        text = unpack.decompress(body, MAX_UNPACKED)
        if not unpack.eof:
            raise DamagedError("what was kept is not whole")
        return msgspec.json.decode(text, type=kind)
    except (zlib.error, msgspec.DecodeError, TypeError, ValueError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedError(f"what was kept is not what was written: {error}") from error
