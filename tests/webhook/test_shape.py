"""webhook.shape: what is decoded of a request's pod is what files are checked for, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.inspect import (
    BoolType,
    DictType,
    IntType,
    ListType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    type_info,
)

from engine.pods.shape import POD, QUANTITY, WORKLOAD
from webhook.shape import Pod

SCALARS: dict[type[Type], type] = {StrType: str, IntType: int, BoolType: bool}
IDENTITY = {"kind": str}
"""What says which kind an object is: files are told apart by it before their shape is looked at."""


def differences(decoded: Type, checked: Any, path: str) -> list[str]:
    """The fields that requests and files take for something else."""
    if isinstance(decoded, UnionType):
        given = [one for one in decoded.types if not isinstance(one, NoneType)]
        return [text for one in given for text in differences(one, checked, path)]
    if isinstance(decoded, StructType):
        if not isinstance(checked, dict):
            return [f"{path} is an object in requests only"]
        names = {field.encode_name: field.type for field in decoded.fields}
        unknown = [f"{path}.{name} is in requests only" for name in names if name not in checked]
        known = [(names[name], checked[name], f"{path}.{name}") for name in names if name in checked]
        return unknown + [text for each in known for text in differences(*each)]
    if isinstance(decoded, ListType):
        here = isinstance(checked, list)
        return (
            differences(decoded.item_type, checked[0], f"{path}[]") if here else [f"{path} is a list in requests only"]
        )
    if isinstance(decoded, DictType):
        if not isinstance(checked, dict):
            return [f"{path} is a map in requests only"]
        return differences(decoded.value_type, checked.get("*"), f"{path}.*")
    if checked is QUANTITY:  # numbers have become text before
        checked = str
    return [] if SCALARS.get(type(decoded)) is checked else [f"{path} is {checked} in files"]


def test_requests_and_files_have_one_shape() -> None:
    assert differences(type_info(Pod), {**IDENTITY, **POD}, "pod") == []


@pytest.mark.parametrize(
    ("checked", "difference"),
    [
        ({**IDENTITY, "metadata": POD["metadata"]}, "pod.spec is in requests only"),
        ({**IDENTITY, **POD, "spec": {**POD["spec"], "nodeName": int}}, "pod.spec.nodeName is <class 'int'> in files"),
        (
            {**IDENTITY, **POD, "spec": {**POD["spec"], "tolerations": {}}},
            "pod.spec.tolerations is a list in requests only",
        ),
        ({**IDENTITY, **WORKLOAD, "spec": {}}, "pod.spec.affinity is in requests only"),
    ],
)
def test_a_difference_is_told(checked: Any, difference: str) -> None:
    assert difference in differences(type_info(Pod), checked, "pod")


def test_a_pod_of_a_file_is_one_of_a_request() -> None:
    pod = {"kind": "Pod", "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web"}]}}
    assert msgspec.convert(pod, Pod).metadata.labels == {"app": "web"}
