"""What expressions know about: the types of `pod`, `pool`, `node` and the others.

Optional are the fields that an object may lack when a policy sees it: what the API server fills in before it calls a
webhook is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.bundle import Schema
from engine.language import BOOL, BYTES, DOUBLE, DYN, INT, STRING, TIMESTAMP, ObjectType, Others, Type, list_of, map_of
from engine.pools import NODE_WORDS
from engine.program.kubernetes_types import TYPES

# Kubernetes v1.36: defaulting and the built-in admission plugins run before mutating webhooks
PRESENT: Mapping[str, frozenset[str]] = {
    "Pod": frozenset(("apiVersion", "kind", "metadata", "spec")),
    "PodSpec": frozenset(
        {
            "dnsPolicy",
            "enableServiceLinks",
            "restartPolicy",
            "schedulerName",
            "securityContext",
            "terminationGracePeriodSeconds",
        }
    ),
    "ObjectMeta": frozenset(("namespace",)),
    # a container without image never gets past the API server, whatever a policy says about it
    "Container": frozenset(("image", "imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy")),
    "ContainerPort": frozenset(("protocol",)),
    "Probe": frozenset(("failureThreshold", "periodSeconds", "successThreshold", "timeoutSeconds")),
    "HTTPGetAction": frozenset(("path", "scheme")),
    "ConfigMapVolumeSource": frozenset(("defaultMode",)),
    "SecretVolumeSource": frozenset(("defaultMode",)),
    "DownwardAPIVolumeSource": frozenset(("defaultMode",)),
    "ProjectedVolumeSource": frozenset(("defaultMode",)),
    "HostPathVolumeSource": frozenset(("type",)),
    "ObjectFieldSelector": frozenset(("apiVersion",)),
}
"""By type: the fields that the models do not require and that every admitted object has all the same."""


def _kubernetes() -> dict[str, ObjectType]:
    types: dict[str, ObjectType] = {}
    fields: dict[str, dict[str, Type]] = {}
    for line in TYPES.replace("\n  ", " ").splitlines():
        name, _, rest = line.partition(":")
        described = [field.split(" ") for field in rest.strip().split(", ") if field]
        absent = frozenset(field[:-1] for field, _ in described if field.endswith("?"))
        fields[name] = {}
        types[name] = ObjectType(name, fields=fields[name], optional=absent - PRESENT.get(name, frozenset()))
        fields[name].update((field.rstrip("?"), Type(type_)) for field, type_ in described)
    for mapping in fields.values():
        mapping.update((field, _meant(type_.name, types)) for field, type_ in list(mapping.items()))
    return types


def _meant(words: str, types: Mapping[str, Type]) -> Type:
    if words.startswith("[]"):
        return list_of(_meant(words[2:], types))
    if words.startswith("{}"):
        return map_of(STRING, _meant(words[2:], types))
    return _PLAIN.get(words) or types[words]


_PLAIN: Mapping[str, Type] = {type_.name: type_ for type_ in (BOOL, INT, DOUBLE, STRING, DYN)}
_KUBERNETES = _kubernetes()
_STRINGS = list_of(STRING)
_LABELS = map_of(STRING, STRING)

POD = _KUBERNETES["Pod"]
"""`pod`: Kubernetes' own Pod."""

_CONDITION = ObjectType(
    "NamespaceCondition",
    fields={"type": STRING, "status": STRING, "reason": STRING, "message": STRING, "lastTransitionTime": TIMESTAMP},
    optional=frozenset(("reason", "message", "lastTransitionTime")),
)
_NAMESPACE_META: Mapping[str, Type] = {
    "name": STRING,
    "labels": _LABELS,
    "annotations": _LABELS,
    "creationTimestamp": TIMESTAMP,
    "deletionGracePeriodSeconds": INT,
    "deletionTimestamp": TIMESTAMP,
    "finalizers": _STRINGS,
    "generateName": STRING,
    "generation": INT,
    "namespace": STRING,
    "resourceVersion": STRING,
    "UID": STRING,  # so it is called there, and never found: the object has a `uid`
}
NAMESPACE = ObjectType(
    "Namespace",
    fields={
        # the API server labels each Namespace with its name
        "metadata": ObjectType(
            "NamespaceMeta", fields=_NAMESPACE_META, optional=frozenset(_NAMESPACE_META) - {"name", "labels"}
        ),
        "spec": ObjectType("NamespaceSpec", fields={"finalizers": _STRINGS}, optional=frozenset(("finalizers",))),
        "status": ObjectType(
            "NamespaceStatus",
            fields={"phase": STRING, "conditions": list_of(_CONDITION)},
            optional=frozenset(("phase", "conditions")),
        ),
    },
    optional=frozenset(("spec", "status")),
)
"""`namespaceObject`: the Namespace that the pod is created in, as Kubernetes types it for its own policies.

Source: k8s.io/apiserver/pkg/admission/plugin/cel (BuildNamespaceType). What is a timestamp there is a text at run time,
and here too.
"""

REQUEST = ObjectType(
    "Request",
    fields={
        "operation": STRING,
        "namespace": STRING,
        "dryRun": BOOL,
        "userInfo": ObjectType(
            "UserInfo",
            fields={"username": STRING, "uid": STRING, "groups": _STRINGS},
            optional=frozenset(("uid", "groups")),
        ),
    },
)
"""`request`: the admission request that brings the pod."""

REQUESTS = ObjectType(
    "map",
    (STRING, DYN),
    fields={"cpu": DOUBLE, "memory": INT, "ephemeral-storage": INT},
    optional=frozenset(("cpu", "memory")),
    others=Others(
        r"hugepages-.+|[^/]+/.+",
        INT,
        "requests",
        "`cpu`, `memory`, `ephemeral-storage`, `hugepages-…`, or a device with its domain: `nvidia.com/gpu`",
    ),
)
"""`requests`: what the scheduler will count for the pod. `cpu` in cores, `memory` in bytes, devices by number.

It is a map, too: of a key that only run time knows the value is `dyn`, for `cpu` is a double and all others are ints.
"""

CLUSTER = ObjectType("Cluster", fields={"name": STRING, "labels": _LABELS})
"""`cluster`: what the operator says about this cluster."""

TAINT = ObjectType("Taint", fields={"key": STRING, "value": STRING, "effect": STRING, "partial": BOOL})
"""`taint`: one taint of a pool. A taint without value has an empty one; `partial`: only some of its nodes have it."""

POOL = ObjectType(
    "Pool",
    fields={
        "name": STRING,
        "provider": STRING,
        "labels": _LABELS,
        "values": map_of(STRING, _STRINGS),
        "annotations": _LABELS,
        "taints": list_of(TAINT),
        **{name: _STRINGS for _, name, _ in NODE_WORDS},
        "nodes": INT,
        "readyNodes": INT,
        "cpu": DOUBLE,
        "memory": INT,
        "gpus": INT,
        "weight": INT,
        "price": DOUBLE,
    },
    optional=frozenset(("price",)),
)
"""`pool`: a group of nodes that are alike. `cpu` in cores, `memory` in bytes, `price` per hour."""

NODE = ObjectType(
    "Node",
    fields={
        "labels": _LABELS,
        **{word: STRING for word, _, _ in NODE_WORDS},
    },
)
"""`node`: one node, unknown when a policy is evaluated.

A node may lack each of the words, and `has` asks for it; none is in `optional`, for reading one that is absent does no
harm: such a node is not eligible.
"""


def type_of_constant(value: object) -> Type:
    """The type of a constant of `params`: maps and lists with the type that all their elements have, else dyn."""
    match value:
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return DOUBLE
        case str():
            return STRING
        case bytes():
            return BYTES
        case Mapping():
            return map_of(_common(map(type_of_constant, value)), _common(map(type_of_constant, value.values())))
        case list() | tuple():
            return list_of(_common(map(type_of_constant, value)))
        case _:
            return DYN


def params_type(params: Mapping[str, object]) -> ObjectType:
    """The type of `params`: a field for each constant of the bundle."""
    return ObjectType("params", fields={name: type_of_constant(value) for name, value in params.items()})


def _common(types: Iterable[Type]) -> Type:
    return next(iter(distinct)) if len(distinct := set(types)) == 1 else DYN


SCALARS: Mapping[str, Type] = {"string": STRING, "integer": INT, "number": DOUBLE, "boolean": BOOL}
"""The types of the kinds of a schema that hold no other values."""


def type_of_schema(schema: Schema, name: str = "params") -> Type:
    """The type of a value that fits."""
    if schema.kind in SCALARS:
        return SCALARS[schema.kind]
    if schema.kind == "array":
        return list_of(type_of_schema(schema.items, f"{name}[]") if schema.items else DYN)
    if not schema.properties and name != "params":
        return map_of(STRING, type_of_schema(schema.values, f"{name}[]") if schema.values else DYN)
    fields = {key: type_of_schema(inner, f"{name}.{key}") for key, inner in schema.properties.items()}
    return ObjectType(name, fields=fields, optional=frozenset(fields) - schema.required)
