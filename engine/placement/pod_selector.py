"""Label selectors over pods: which pods a spread constraint or a pod (anti-)affinity term counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from engine.nodeselector import (
    EVERYWHERE,
    NOWHERE,
    Term,
    from_expression,
    label_key,
    none_of,
    one_of,
    term_of,
    together,
)

CHANGING_LABELS = frozenset(
    {
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "batch.kubernetes.io/job-name",
        "controller-uid",
        "job-name",
        "version",
        "app.kubernetes.io/version",
        "helm.sh/chart",
        "topology.kubernetes.io/region",  # on bound pods only, put there by the API server
        "topology.kubernetes.io/zone",
    }
)
"""Labels that differ between the revisions or the replicas of one workload: its controller's, and those of releases."""

WORKLOAD_LABELS = frozenset(
    {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component", "app", "k8s-app"}
)
"""Labels that name a workload, whoever made its pods."""


SELECTED = 6
"""What reading a label or an expression of a selector takes of a budget, in units; a value takes one."""


def selector_parts(label_selector: Mapping[str, Any] | None) -> int:
    """What reading a label selector takes, in units."""
    given = label_selector or {}
    expressions = given.get("matchExpressions") or ()
    values = sum([len(e.get("values") or ()) for e in expressions])
    return SELECTED * (len(given.get("matchLabels") or ()) + len(expressions)) + values


def own_workload(labels: Mapping[str, str], naming: Collection[str] | None = None) -> dict[str, Any] | None:
    """The label selector of the workload of a pod with these labels; None where none of them says it.

    All its pods carry one template's labels, so it is these less the changing ones; unless only those of `naming` are
    known to be the same on all.
    """
    if naming is None:
        own = {key: value for key, value in labels.items() if key not in CHANGING_LABELS}
    else:
        own = {key: labels[key] for key in naming if key in labels}
    return _selector(own, ()) if own else None


def written_out(
    labels: Mapping[str, str],
    label_selector: Mapping[str, Any] | None,
    match_label_keys: Sequence[str] = (),
    mismatch_label_keys: Sequence[str] = (),
) -> dict[str, Any] | None:
    """The one label selector that a policy's `labelSelector`, `matchLabelKeys` and `mismatchLabelKeys` come to.

    `labels` are the pod's: of `matchLabelKeys` its values are asked for, of `mismatchLabelKeys` shut out, and keys that
    it lacks are skipped (k8s.io/kubernetes/pkg/registry/core/pod/strategy.go, applyMatchLabelKeysAndMismatchLabelKeys).
    None if nothing is left: an empty selector counts every pod, which was not meant.
    """
    match_labels = dict((label_selector or {}).get("matchLabels") or {})
    expressions = list((label_selector or {}).get("matchExpressions") or ())
    for key in match_label_keys:
        if key not in labels or counted_pods(_selector(match_labels, expressions))[key] <= one_of([labels[key]]):
            continue
        if key in match_labels:
            expressions.append({"key": key, "operator": "In", "values": [labels[key]]})
        else:
            match_labels[key] = labels[key]
    for key in mismatch_label_keys:
        if key in labels and not counted_pods(_selector(match_labels, expressions))[key] <= none_of([labels[key]]):
            expressions.append({"key": key, "operator": "NotIn", "values": [labels[key]]})
    selector = _selector(match_labels, expressions)
    return None if counted_pods(selector) == EVERYWHERE else selector


def _selector(labels: Mapping[str, str], expressions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    ordered = sorted((_sorted(e) for e in expressions), key=lambda e: (e["key"], e["operator"], e.get("values", [])))
    selector = {"matchLabels": dict(sorted(labels.items())), "matchExpressions": ordered}
    return {field: value for field, value in selector.items() if value}


def _sorted(expression: Mapping[str, Any]) -> dict[str, Any]:
    written = {"key": expression["key"], "operator": expression["operator"]}
    return written | ({"values": sorted(expression["values"])} if expression.get("values") else {})


def counted_pods(
    label_selector: Mapping[str, Any] | None,
    labels: Mapping[str, str] | None = None,
    match_label_keys: Sequence[str] = (),
    mismatch_label_keys: Sequence[str] = (),
) -> Term:
    """The pods that a selector counts, as a term over their labels: equal terms are selectors that mean the same.

    A null selector counts none, an empty one all. `labels` are those of the pod that carries the selector; the API
    server adds its values of `matchLabelKeys` (In) and `mismatchLabelKeys` (NotIn) after all webhooks.
    """
    if label_selector is None:
        return NOWHERE
    asked = [(label_key(key), one_of([value])) for key, value in (label_selector.get("matchLabels") or {}).items()]
    asked += [
        (label_key(each.get("key") or ""), from_expression(each))
        for each in label_selector.get("matchExpressions") or ()
    ]
    for keys, admitted in ((match_label_keys, one_of), (mismatch_label_keys, none_of)):
        asked += [(key, admitted([labels[key]])) for key in keys if labels and key in labels]
    return term_of(together(asked))
