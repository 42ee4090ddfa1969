"""Pods of any shape, made at random from Kubernetes' own types: every field may be there, absent, null or empty."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from engine.pods.pod_types import TYPES

Json = Any

TEXTS = ("a", "b-1", "x/y", "Always", "Equal", "NoExecute", "metadata.name", "a.b/c", "ä<&>", " ", "0", "true")
NUMBERS = (1, 2, 7, 80, 443, -1, 30000)
QUANTITIES: tuple[Json, ...] = (
    "1", "500m", "0.5", "1Gi", "1024Mi", "1.5Gi", "1e3", "1E6", "2k", "0.0001", "100u", "1000n", "0", "-1", "+1", ".5",
    "1234567", "12345678901234567890", "9223372036854775808", "16Ei", "3Ki", "1536Ki", "1.1Gi", "0.1Ki",
    1, 0, 0.25, 4096, 1e3, "5.", "1.500", "007", "1.Gi", "12345678901234Ki", "123456789012345678", "1000", "1e-4",
    "-0.0001",
)  # fmt: skip
IMAGES = (
    "a", "a:1", "a:latest", "A:1", "A", "a/b", "a.b/c:1", "registry:5000/a", "registry:5000/a:latest", "localhost/x",
    "a@sha256:" + "0" * 64, "a:latest@sha256:" + "f" * 64, "a:1@sha256:0", "a@sha256:" + "F" * 64, "0" * 64, "a:", ":a",
    "a b", "index.docker.io/a", "a__b", "a___b", "a-/b", "[::1]:5000/a:1", "x" * 256, "ä", "a@md5:" + "0" * 32,
    "a:" + "t" * 129, "Reg.io/a:latest", "reg.io/A:latest", "a/b/c/d:latest", "localhost:1/a@sha512:" + "0" * 128,
)  # fmt: skip
RESOURCES = (
    "cpu", "memory", "ephemeral-storage", "nvidia.com/gpu", "hugepages-2Mi", "hugepages-1Gi", "example.com/x",
)  # fmt: skip
KEYS = ("a", "b", "app", "example.com/key", "kubernetes.io/config.seen")
MOMENTS = ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05.678Z")
UNHEARD_OF = {"nodeselector": {"a": "b"}, "Containers": [], "x": 1}

NEVER = {
    "ObjectMeta": {"name", "namespace", "managedFields", "creationTimestamp"},
    # refused by plugins before any webhook is called, where the cluster has no such object
    "PodSpec": {"runtimeClassName", "overhead", "priority", "preemptionPolicy", "schedulingGroup", "nodeName"},
    "Pod": {"status", "apiVersion", "kind"},
}
CHOSEN: Mapping[tuple[str, str], tuple[Json, ...]] = {
    ("Container", "image"): IMAGES,
    ("EphemeralContainer", "image"): IMAGES,
    ("ImageVolumeSource", "reference"): IMAGES,
    ("PodSpec", "priorityClassName"): ("", "system-cluster-critical", "system-node-critical"),
    ("PodSpec", "serviceAccountName"): ("", "default"),
    ("PodSpec", "serviceAccount"): ("", "default"),
    ("PodSpec", "terminationGracePeriodSeconds"): (0, 5, -3),
    ("Toleration", "key"): ("", "a", "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"),
    ("Toleration", "effect"): ("", "NoSchedule", "NoExecute"),
    ("VolumeMount", "mountPath"): ("", "/x", "/var/run/secrets/kubernetes.io/serviceaccount"),
    ("Volume", "name"): ("", "a", "kube-api-access-mine"),
    ("Container", "restartPolicy"): ("Always", "Never"),
}
MAPS: Mapping[str, tuple[str, ...]] = {"quantity": RESOURCES, "string": KEYS}
SCALARS: Mapping[str, tuple[Json, ...]] = {
    "string": TEXTS, "bool": (True,), "int32": NUMBERS, "int64": (*NUMBERS, 2**40), "intOrString": (0, 80, "http", ""),
    "quantity": QUANTITIES, "time": MOMENTS,
}  # fmt: skip
EMPTY: Mapping[str, Json] = {"string": "", "bool": False, "int32": 0, "int64": 0}


def _fields() -> dict[str, list[tuple[str, str]]]:
    lines = (line.split(": ", 1) for line in TYPES.replace("\n  ", " ").splitlines())
    return {name: [tuple(f.split(" ")) for f in rest.split(", ") if f] for name, rest in lines}  # type: ignore[misc]


class Maker:
    """Makes pods. `share` is how many of an object's fields are there, in per cent."""

    def __init__(self, seed: int, share: int) -> None:
        self._random = random.Random(seed)
        self._types = _fields()
        self._share = share

    def pod(self, name: str) -> Json:
        made = self._object("Pod", 0)
        made["metadata"] = {**(made.get("metadata") or {}), "name": name}
        spec = made["spec"] = self._object("PodSpec", 1)
        spec["containers"] = [self._object("Container", 2) for _ in range(self._random.choice((1, 1, 2)))]
        return made

    def _object(self, type_: str, depth: int) -> Json:
        made: dict[str, Json] = {}
        share = self._share / (1 + depth / 3)
        for field, words in self._types[type_]:
            name = field.rstrip("?!")
            if name in NEVER.get(type_, ()) or self._random.random() * 100 > share:
                continue
            chosen = CHOSEN.get((type_, name))
            made[name] = self._random.choice(chosen) if chosen else self._value(words.lstrip("*"), depth + 1)
        if self._random.random() < 0.02:
            made |= UNHEARD_OF if type_ != "PodSpec" else {"nodeselector": {"a": "b"}}
        return made

    def _value(self, words: str, depth: int) -> Json:
        kind = self._random.random()
        if kind < 0.1:
            return None
        if words.startswith("[]"):
            count = 0 if kind < 0.25 else self._random.choice((1, 1, 2))
            return [self._item(words[2:], depth) for _ in range(count)]
        if words.startswith("{}"):
            keys = self._random.sample(MAPS[words[2:]], 0 if kind < 0.25 else self._random.choice((1, 2, 3)))
            return {key: self._item(words[2:], depth) for key in keys}
        if words in SCALARS:
            return EMPTY[words] if kind < 0.35 and words in EMPTY else self._random.choice(SCALARS[words])
        return {} if kind < 0.2 else self._object(words, depth)

    def _item(self, words: str, depth: int) -> Json:
        found = self._value(words, depth)
        while found is None:
            found = self._value(words, depth)
        return found
