"""engine.program.vocabulary: types made from the official client, true of objects as the API server shows them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.language import BOOL, DOUBLE, DYN, INT, STRING, ObjectType, Type, list_of, map_of, said
from engine.program import kubernetes_types
from engine.program.vocabulary import NAMESPACE, NODE, POD, POOL, PRESENT, params_type, type_of_constant, type_of_schema
from tests.engine.bundle.constants import SCHEMA, read

ROOT = Path(__file__).parents[3]

# a pod as a webhook gets it from a v1.36 API server that runs with its defaults: a ReplicaSet's, one container
ADMITTED: dict[str, Any] = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"generateName": "web-", "namespace": "default"},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": "nginx",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {},
                "livenessProbe": {
                    "httpGet": {"path": "/", "port": "http", "scheme": "HTTP"},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    },
    "status": {},
}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generator", ROOT / "tools" / "kubernetes_types.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_table_is_what_the_client_says() -> None:
    tool = generator()
    made = str(tool.table())
    assert made.split("TYPES", 1)[1].removeprefix(' = """\\\n').removesuffix('"""\n') == kubernetes_types.TYPES
    assert tool.TARGET.read_text() == made


def field(type_: Type, *path: str) -> Type:
    for name in path:
        while type_.name == "list":
            type_ = type_.parameters[0]
        assert isinstance(type_, ObjectType)
        type_ = type_.fields[name]
    return type_


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("metadata.labels", "map(string, string)"),
        ("metadata.creationTimestamp", "string"),
        ("metadata.ownerReferences.controller", "bool"),
        ("spec.containers", "list(Container)"),
        ("spec.containers.resources.limits", "map(string, string)"),
        ("spec.containers.livenessProbe.httpGet.port", "dyn"),
        ("spec.containers.lifecycle.preStop.exec.command", "list(string)"),
        ("spec.priority", "int"),
        ("spec.hostNetwork", "bool"),
        ("spec.nodeSelector", "map(string, string)"),
        ("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms",
         "list(NodeSelectorTerm)"),
        ("spec.topologySpreadConstraints.labelSelector.matchLabels", "map(string, string)"),
        ("spec.volumes.persistentVolumeClaim.claimName", "string"),
        ("status.phase", "string"),
    ],
)  # fmt: skip
def test_fields_of_a_pod(path: str, type_: str) -> None:
    assert said(field(POD, *path.split("."))) == type_


def lacking(type_: Type, value: Any, path: str) -> list[str]:
    """The fields that the type promises and the object has not."""
    if isinstance(type_, ObjectType):
        missing = [f"{path}.{name}" for name in type_.fields if name not in type_.optional and name not in value]
        inside = [lacking(type_.fields[name], inner, f"{path}.{name}") for name, inner in value.items()]
        return missing + [place for places in inside for place in places]
    if type_.name == "list":
        return [place for inner in value for place in lacking(type_.parameters[0], inner, path)]
    return []


def test_what_is_not_optional_is_there_when_a_webhook_is_called() -> None:
    assert lacking(POD, ADMITTED, "pod") == []


def test_present_fields_exist_and_are_not_required_anyway() -> None:
    described = dict(
        line.split(": ", 1) for line in kubernetes_types.TYPES.replace("\n  ", " ").splitlines() if ": " in line
    )
    for name, present in PRESENT.items():
        for one in present:
            assert f"{one}? " in described[name]


def test_optional_fields() -> None:
    spec = field(POD, "spec")
    assert isinstance(spec, ObjectType)
    assert {"affinity", "nodeName", "nodeSelector", "tolerations", "priorityClassName"} <= spec.optional
    assert not {"containers", "restartPolicy"} & spec.optional
    meta = field(NAMESPACE, "metadata")
    assert isinstance(meta, ObjectType)
    assert "annotations" in meta.optional
    assert not {"name", "labels"} & meta.optional
    assert POOL.optional == {"price"}
    assert NODE.optional == frozenset()


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (True, "bool"),
        (1, "int"),
        (1.5, "double"),
        ("a", "string"),
        (None, "dyn"),
        ([], "list(dyn)"),
        ([1, 2], "list(int)"),
        ([1, 2.5], "list(dyn)"),
        ([["a"], ["b", "c"]], "list(list(string))"),
        ({"a": 1, "b": 2}, "map(string, int)"),
        ({"a": 1, "b": "c"}, "map(string, dyn)"),
        ({"a": {"b": [1]}}, "map(string, map(string, list(int)))"),
        ({}, "map(dyn, dyn)"),
    ],
)
def test_constants(value: object, type_: str) -> None:
    assert said(type_of_constant(value)) == type_


def test_params_are_closed() -> None:
    type_ = params_type({"zones": ["a"], "limits": {"cpu": 1}, "any": None})
    assert type_.fields == {"zones": list_of(STRING), "limits": map_of(STRING, INT), "any": DYN}
    assert said(type_) == "params"


def test_a_schema_gives_types() -> None:
    schema, problems = read(SCHEMA)
    type_ = type_of_schema(schema)
    assert problems == []
    assert isinstance(type_, ObjectType)
    owner = type_.fields["owner"]
    assert isinstance(owner, ObjectType)
    assert owner.fields == {"name": STRING}
    assert owner.optional == frozenset()
    assert {name: inner for name, inner in type_.fields.items() if name != "owner"} == {
        "zones": list_of(STRING),
        "minimum": INT,
        "price": DOUBLE,
        "on": BOOL,
        "limits": map_of(STRING, DOUBLE),
        "any": map_of(STRING, DYN),
        "many": list_of(DYN),
    }
    assert type_.optional == frozenset(type_.fields) - {"zones"}
