"""engine.pools.apart: a selector is a promise: these nodes and no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pools.apart import Crowd, is_own_label, partitions, selectors
from engine.pools.pool import Labels
from engine.pools.providers import POOL_LABELS

NAME = "cluster.x-k8s.io/deployment-name"
OWN, ROLE = "node.cluster.x-k8s.io/pool", "node-role.kubernetes.io/worker"


def chosen(*crowds: tuple[Labels, list[Labels]], others: tuple[Labels, ...] = ()) -> list[Labels | None]:
    """The selectors of crowds called a, b, ..., each given by the labels to come and those of its nodes."""
    made = [Crowd(labels, (NAME, "abcdef"[at]), members) for at, (labels, members) in enumerate(crowds)]
    return selectors(made, others, POOL_LABELS)


def test_a_label_that_will_be_its_own() -> None:
    assert chosen(({OWN: "x", ROLE: ""}, []), ({OWN: "y", ROLE: ""}, [])) == [{OWN: "x"}, {OWN: "y"}]


def test_the_key_that_tells_most_apart_is_taken() -> None:
    tier = "tier.node.cluster.x-k8s.io/a"
    assert chosen(({OWN: "x", tier: "1"}, []), ({OWN: "y", tier: "2"}, []), ({OWN: "z", tier: "2"}, []))[0] == {
        OWN: "x"
    }


def test_roles_are_the_last_choice_for_everybody_has_them() -> None:
    assert chosen(({ROLE: "", "node-restriction.kubernetes.io/z": "1"}, [])) == [
        {"node-restriction.kubernetes.io/z": "1"}
    ]


def test_what_a_stranger_carries_does_not_tell() -> None:
    assert chosen(({OWN: "x"}, []), others=({OWN: "x"},)) == [None]
    assert chosen(({OWN: "x"}, []), ({}, [{OWN: "x"}])) == [None, None], "its nodes will have it, others do"


def test_all_labels_together_where_none_is_its_own() -> None:
    assert chosen(({OWN: "x"}, []), ({OWN: "x", ROLE: ""}, [])) == [{OWN: "x"}, {OWN: "x", ROLE: ""}]
    assert chosen(({OWN: "x"}, []), ({OWN: "x"}, [])) == [None, None]


def test_the_name_where_it_is_synchronised() -> None:
    named: Labels = {NAME: "a"}
    assert chosen(({}, [named, named])) == [named]
    assert chosen(({}, [named]), ({}, [])) == [named, {NAME: "b"}]
    assert chosen(({}, [named, {}]), ({}, [])) == [None, None]


def test_a_provider_s_label_comes_first() -> None:
    eks: Labels = {"eks.amazonaws.com/nodegroup": "g", OWN: "x"}
    assert chosen(({OWN: "x"}, [eks, eks])) == [{"eks.amazonaws.com/nodegroup": "g"}]
    assert chosen(({OWN: "x"}, [eks]), others=({"eks.amazonaws.com/nodegroup": "g"},)) == [{OWN: "x"}]


def test_a_label_that_happens_to_tell() -> None:
    assert chosen(({}, [{"team": "a", "kubernetes.io/arch": "arm64", "topology.kubernetes.io/zone": "z"}])) == [
        {"team": "a"}
    ]
    assert chosen(({}, [{"kubernetes.io/arch": "arm64"}])) == [None]
    assert chosen(({}, [{"team": "a"}, {}])) == [None]
    assert chosen(({}, [{"team": "a", "rack": "7"}]), ({}, [{"team": "b"}])) == [{"team": "a"}, {"team": "b"}]


KEYS = st.sampled_from([OWN, ROLE, NAME, "team", "eks.amazonaws.com/nodegroup"])
LABELS = st.dictionaries(KEYS, st.sampled_from(["a", "b"]), max_size=3)


@given(st.lists(st.tuples(LABELS, st.lists(LABELS, max_size=3)), max_size=4), st.lists(LABELS, max_size=3))
def test_selectors_select_their_own_and_nobody_else_s(
    given_: list[tuple[dict[str, str], list[dict[str, str]]]], others: list[dict[str, str]]
) -> None:
    """Its nodes carry what they should; the longer selector wins, then one that identifies pools, as everywhere."""
    crowds = [
        Crowd(labels, (NAME, "abcd"[at]), [{**member, **labels} for member in members])
        for at, (labels, members) in enumerate(given_)
    ]
    found = selectors(crowds, others, POOL_LABELS)

    def home(labels: Labels) -> int | None:
        first = next((key for key in POOL_LABELS if labels.get(key)), None)
        some = [
            (-len(one), one.keys().isdisjoint(POOL_LABELS), at)
            for at, one in enumerate(found)
            if one and one.items() <= labels.items() and (first in one or one.keys().isdisjoint(POOL_LABELS))
        ]
        return min(some)[2] if some else None

    for at, crowd in enumerate(crowds):
        for member in crowd.members:
            assert home(member) in ((at,) if found[at] else (None,)), (found, member)
    for other in others:
        assert home(other) is None, (found, other)


@pytest.mark.parametrize(
    ("nodes", "keys"),
    [
        ([], []),
        ([{"team": "a"}, {"team": "b"}, {"team": "a"}], ["team"]),
        ([{"team": "a"}, {}], []),
        ([{"kubernetes.io/hostname": "a", "kubernetes.io/arch": "arm64", "rack": "1"}] * 2, ["rack"]),
        ([{"serial": "1"}, {"serial": "2"}], []),
        ([{"role": ""}, {"role": ""}], []),
    ],
)
def test_labels_that_would_tell_nodes_of_no_pool_apart(nodes: list[Labels], keys: list[str]) -> None:
    assert list(partitions(nodes)) == keys


@pytest.mark.parametrize(
    ("own", "keys"),
    [
        (True, ["team", "pool", "disktype", "example.com/pool", "node.cluster.x-k8s.io/pool", "k8s.io.example.com/a"]),
        (False, ["kubernetes.io/arch", "node-role.kubernetes.io/worker", "topology.ebs.csi.aws.com/zone"]),
        (False, ["agentpool", "storageprofile", "CriticalAddonsOnly", "alpha.eksctl.io/nodegroup-name"]),
        (False, ["cluster.x-k8s.io/deployment-name", "karpenter.sh/nodepool", "karpenter.kwok.sh/instance-cpu"]),
        (False, ["nvidia.com/gpu", "cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority"]),
    ],
)
def test_labels_that_people_have_given(own: bool, keys: list[str]) -> None:
    assert [is_own_label(key) for key in keys] == [own] * len(keys)
