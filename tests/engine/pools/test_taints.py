"""engine.pools.taints: which taints are a pool's, of all its nodes or of some."""

from __future__ import annotations

import pytest

from engine.pools.pool import Taint
from engine.pools.taints import TIMED_TAINTS, TRANSIENT_TAINTS, is_transient, lasting, taints_seen, taints_together

A, B, C = (Taint(key, "", "NoSchedule") for key in "abc")
SOFT = Taint("a", "", "PreferNoSchedule")


def some(taint: Taint) -> Taint:
    return taint._replace(partial=True)


def test_taints_of_the_moment_are_none_of_the_pools() -> None:
    transient = [Taint(key, "", "NoSchedule") for key in sorted(TRANSIENT_TAINTS)]
    transient.append(Taint("startup-taint.cluster-autoscaler.kubernetes.io/cni", "", "NoSchedule"))
    transient.append(Taint("readiness.k8s.io/network", "pending", "NoExecute"))
    assert all(is_transient(taint.key) for taint in transient)
    assert all(map(is_transient, TIMED_TAINTS))
    assert lasting([*transient, B, A, B]) == (A, B)
    assert taints_seen([[*transient, A], [A, B]]) == (A, some(B))
    assert taints_together([*transient, A], (), (), templated=True) == (A,)


@pytest.mark.parametrize(
    "key",
    [
        "node.kubernetes.io/dedicated",
        "node.cloudprovider.kubernetes.io/mine",
        "karpenter.sh/mine",
        "readiness.k8s.io",
        "x.readiness.k8s.io/a",
    ],
)
def test_only_listed_lifecycle_taints_are_left_out(key: str) -> None:
    assert not is_transient(key)


def test_a_taint_is_partial_unless_all_nodes_have_it() -> None:
    """Of every effect; another value or effect is another taint."""
    other = A._replace(value="v")
    assert taints_seen([[A, SOFT], [A]]) == (A, some(SOFT))
    assert taints_seen([[A], [other]]) == (some(A), some(other))
    assert taints_seen([[A], []]) == (some(A),)
    assert taints_seen([]) == ()


def test_what_nobody_declared_is_as_it_is_seen() -> None:
    assert taints_together(None, (), (A, some(B)), templated=False) == (A, some(B))


def test_what_is_declared_is_on_every_node_and_what_is_seen_is_added() -> None:
    assert taints_together((A,), (), (some(A), B, some(C)), templated=False) == (A, B, some(C))


def test_what_a_template_does_not_say_the_next_node_lacks() -> None:
    assert taints_together((A,), (), (A, B), templated=True) == (A, some(B))


def test_startup_taints_are_left_out_whatever_their_value() -> None:
    assert taints_together((), (Taint("a", "x", "NoSchedule"),), (A, SOFT), templated=True) == (some(SOFT),)


def test_a_taint_as_kubectl_writes_it() -> None:
    assert [str(A), str(Taint("k", "v", "NoExecute"))] == ["a:NoSchedule", "k=v:NoExecute"]
