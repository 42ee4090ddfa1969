"""The types of a pod's fields where the engine reads them, for msgspec. Others are not checked."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

_Labels = dict[str, str] | None


class _Owner(Struct, frozen=True, gc=False, rename="camel"):
    kind: str = ""
    name: str = ""
    api_version: str = ""
    controller: bool | None = None


class _Metadata(Struct, frozen=True, gc=False, rename="camel"):
    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: _Labels = None
    annotations: _Labels = None
    owner_references: list[_Owner] | None = None


class _Requirement(Struct, frozen=True, gc=False, rename="camel"):
    key: str
    operator: str
    values: list[str] | None = None


class _NodeTerm(Struct, frozen=True, gc=False, rename="camel"):
    match_expressions: list[_Requirement] | None = None
    match_fields: list[_Requirement] | None = None


class _NodeSelector(Struct, frozen=True, gc=False, rename="camel"):
    node_selector_terms: list[_NodeTerm] | None = None


class _PreferredNode(Struct, frozen=True, gc=False, rename="camel"):
    weight: int
    preference: _NodeTerm | None = None


class _NodeAffinity(Struct, frozen=True, gc=False, rename="camel"):
    required_during_scheduling_ignored_during_execution: _NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[_PreferredNode] | None = None


class _LabelSelector(Struct, frozen=True, gc=False, rename="camel"):
    match_labels: _Labels = None
    match_expressions: list[_Requirement] | None = None


class _PodTerm(Struct, frozen=True, gc=False, rename="camel"):
    topology_key: str = ""
    label_selector: _LabelSelector | None = None
    match_label_keys: list[str] | None = None
    mismatch_label_keys: list[str] | None = None
    namespaces: list[str] | None = None
    namespace_selector: _LabelSelector | None = None


class _PreferredPod(Struct, frozen=True, gc=False, rename="camel"):
    weight: int
    pod_affinity_term: _PodTerm


class _PodAffinity(Struct, frozen=True, gc=False, rename="camel"):
    required_during_scheduling_ignored_during_execution: list[_PodTerm] | None = None
    preferred_during_scheduling_ignored_during_execution: list[_PreferredPod] | None = None


class _Affinity(Struct, frozen=True, gc=False, rename="camel"):
    node_affinity: _NodeAffinity | None = None
    pod_affinity: _PodAffinity | None = None
    pod_anti_affinity: _PodAffinity | None = None


class _Toleration(Struct, frozen=True, gc=False, rename="camel"):
    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class _Spread(Struct, frozen=True, gc=False, rename="camel"):
    topology_key: str
    when_unsatisfiable: str
    max_skew: int
    label_selector: _LabelSelector | None = None
    match_label_keys: list[str] | None = None


class _Resources(Struct, frozen=True, gc=False):
    limits: _Labels = None
    requests: _Labels = None


class _Container(Struct, frozen=True, gc=False):
    resources: _Resources | None = None


class _Spec(Struct, frozen=True, gc=False, rename="camel"):
    containers: list[_Container] = []
    init_containers: list[_Container] | None = None
    resources: _Resources | None = None
    overhead: _Labels = None
    node_name: str | None = None
    node_selector: _Labels = None
    affinity: _Affinity | None = None
    tolerations: list[_Toleration] | None = None
    topology_spread_constraints: list[_Spread] | None = None


class Pod(Struct, frozen=True, gc=False, rename="camel"):
    metadata: _Metadata
    spec: _Spec
    kind: str | UnsetType = UNSET
