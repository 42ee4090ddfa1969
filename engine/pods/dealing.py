"""Splits: into which of a policy's shares a pod falls, as far as the pod and its request tell.

Pods with an index are dealt out evenly, others by chance: a pod has neither name nor uid yet when a webhook sees it,
and of several at once each sees the same cluster.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import gcd
from typing import Any

from engine.pods.controllers import user_of
from engine.pods.incoming import IncomingPod
from engine.pods.owner import controller

_INDEX, _ORDINAL = "batch.kubernetes.io/job-completion-index", "apps.kubernetes.io/pod-index"
_POD_NAME = "statefulset.kubernetes.io/pod-name"
_NUMBER = re.compile(r"[0-9]{1,18}")
_MANAGER = "system:kube-controller-manager"
"""The user of all controllers where they have no service accounts of their own."""
_REMEMBERED = 256


def dealt(policy: str, percents: Sequence[int], incoming: IncomingPod) -> tuple[int, ...]:
    """The places of a split's shares, in the order in which a pod gets them: its own first.

    The others follow for where that can't be had. `percents` are the shares, in whole per cents. Of the pods of one
    StatefulSet or indexed Job each share has, after any number from the first, its part of them rounded up or down;
    after 100 (less where the shares have a common divisor), exactly. Any other pod falls by its request's uid. One
    without, in a file, has the largest.
    """
    left, order = list(range(len(percents))), list[int]()
    while left:
        place = _first(policy, [percents[each] for each in left], incoming, len(order))
        order.append(left.pop(place))
    return tuple(order)


def _first(policy: str, percents: Sequence[int], incoming: IncomingPod, turn: int) -> int:
    """The place of the share that a pod falls into, if there are no others; `turn` numbers the questions about it."""
    if not sum(percents):
        return 0
    index = index_of(incoming)
    if index is not None:
        owner = controller(incoming.pod.get("metadata") or {}) or {}
        start = _drawn(percents, "first", policy, incoming.namespace_name, owner.get("kind"), owner.get("name"), turn)
        sequence = even(tuple(percents), start)
        return sequence[index % len(sequence)]
    if incoming.uid:
        return _drawn(percents, "uid", policy, incoming.uid, turn)
    return percents.index(max(percents))


def _drawn(percents: Sequence[int], *identity: object) -> int:
    """A place by chance, each as often as its share says; equal identities always come to the same."""
    digest = hashlib.sha256("\0".join(map(str, identity)).encode()).digest()
    point = int.from_bytes(digest[:8], "big") * sum(percents) >> 64  # 64 bits of the digest, as a share of 2^64
    for place, percent in enumerate(percents):
        point -= percent
        if point < 0:
            return place
    raise AssertionError("the point lies below the sum")


@lru_cache(_REMEMBERED)
def even(percents: tuple[int, ...], start: int) -> tuple[int, ...]:
    """Places in which each occurs as often as its share says, and as evenly as can be; it begins with `start`.

    The k-th pod of a share of w is due after (k-1)/w pods and before k/w, the earliest deadline first: so after n pods
    a share has n*w, rounded up or down (Baruah et al., Proportionate progress, 1996). Whichever is first, all fit.
    """
    total = sum(percents)
    length = total // gcd(*percents)
    counts, sequence = [0] * len(percents), list[int]()
    for slot in range(length):
        due = [
            (-(-(counts[place] + 1) * total // percent), -percent, place)
            for place, percent in enumerate(percents)
            if percent and counts[place] * total // percent <= slot
        ]
        place = min(due)[2] if slot else start
        counts[place] += 1
        sequence.append(place)
    return tuple(sequence)


def index_of(incoming: IncomingPod) -> int | None:
    """The index of a pod that the StatefulSet or Job controller made, None for any other.

    Who else writes such labels and owner references into a pod has them not counted, as far as the request tells.
    """
    metadata: Mapping[str, Any] = incoming.pod.get("metadata") or {}
    owner = controller(metadata)
    user = str((incoming.request.get("userInfo") or {}).get("username") or "")
    if owner is None or user not in ("", _MANAGER, user_of(incoming.pod)["username"]):
        return None
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    match str(owner.get("apiVersion", "")).rpartition("/")[0], owner.get("kind"):
        case "apps", "StatefulSet":
            name = str(labels.get(_POD_NAME) or metadata.get("name") or "")
            said = labels.get(_ORDINAL) or name.removeprefix(f"{owner.get('name', '')}-")
        case "batch", "Job":
            said = annotations.get(_INDEX) or labels.get(_INDEX)
        case _:
            return None
    return int(said) if said and _NUMBER.fullmatch(str(said)) else None
