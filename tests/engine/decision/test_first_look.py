"""engine.decision.first_look: which pods Karpenter drops, held against what its own code says."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decision.first_look import overlooked
from tests.engine.builders import pod
from tests.engine.karpenter import looks
from tests.engine.matching import PREFERRED, REQUIRED
from tests.examples import examples

POOL = "karpenter.sh/nodepool"


def term(*expressions: tuple[str, ...]) -> dict[str, Any]:
    """A node selector term of (key, operator, value…)."""
    said = [
        {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
        for key, operator, *values in expressions
    ]
    return {"matchExpressions": said}


def asking(*required: dict[str, Any], prefer: tuple[tuple[int, dict[str, Any]], ...] = (), **spec: Any) -> Any:
    """A pod with these required terms and weighted preferences."""
    node: dict[str, Any] = {REQUIRED: {"nodeSelectorTerms": list(required)}} if required else {}
    node |= {PREFERRED: [{"weight": weight, "preference": wish} for weight, wish in prefer]} if prefer else {}
    return pod(affinity={"nodeAffinity": node}, **spec)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (pod(), ""),
        (asking(term((POOL, "In", "a")), term((POOL, "DoesNotExist"))), ""),
        (asking(term((POOL, "DoesNotExist")), term((POOL, "In", "a"))), "first required term asks for nodes without"),
        (asking(term((POOL, "In", "a")), nodeSelector={POOL: "b"}), "first required term asks for nodes without"),
        (asking(term((POOL, "In", "a")), prefer=((1, term((POOL, "In", "b"))),)), "heaviest preference excludes"),
        (asking(term((POOL, "In", "a")), prefer=((1, term((POOL, "NotIn", "a"))),)), "heaviest preference excludes"),
        (asking(prefer=((1, term((POOL, "DoesNotExist"))),)), "heaviest preference excludes"),
        (asking(prefer=((1, term((POOL, "NotIn", "a"))),)), ""),
        (asking(prefer=((1, term((POOL, "DoesNotExist"))), (2, term(("zone", "Exists"))))), ""),
        (asking(prefer=((2, term((POOL, "In", "a"))), (2, term((POOL, "DoesNotExist"))))), ""),
        (asking(term(("zone", "In", "a")), term(("kubernetes.io/hostname", "In", "n"))), "`kubernetes.io/hostname`"),
        (pod(nodeSelector={"kubernetes.io/hostname": "n"}), "`kubernetes.io/hostname`"),
        (asking(term(("karpenter.sh/initialized", "Exists"))), "`karpenter.sh/initialized`"),
        (asking(term(("x.karpenter.sh/y", "DoesNotExist"))), "`x.karpenter.sh/y`"),
        (asking(term(("karpenter.sh/capacity-type", "In", "cheap"))), "`karpenter.sh/capacity-type`"),
        (asking(term(("karpenter.sh/capacity-type", "In", "cheap", "spot"))), ""),
        (asking(term(("karpenter.sh/capacity-type", "NotIn", "cheap"))), ""),
        (asking({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}), "`matchFields`"),
        (asking({}, term((POOL, "DoesNotExist"))), ""),  # of an empty term Karpenter reads that any node will do
    ],
)
def test_why_karpenter_drops_a_pod(asked: Any, why: str) -> None:
    assert why in overlooked(asked)
    assert bool(overlooked(asked)) == bool(why)
    assert looks(asked) != bool(why)


EXPRESSIONS = [
    (POOL, "In", "a"),
    (POOL, "In", "a", "b"),
    (POOL, "NotIn", "a"),
    (POOL, "Exists"),
    (POOL, "DoesNotExist"),
    (POOL, "Gt", "3"),
    (POOL, "In", "7"),
    ("kubernetes.io/hostname", "Exists"),
    ("karpenter.sh/registered", "Exists"),
    ("karpenter.sh/capacity-type", "In", "spot"),
    ("karpenter.sh/capacity-type", "In", "odd"),
    ("zone", "In", "z"),
    ("zone", "DoesNotExist"),
]


@examples(400)
@given(st.randoms(use_true_random=False))
def test_drops_what_karpenter_drops(dice: random.Random) -> None:
    def drawn() -> dict[str, Any]:
        return term(*dice.sample(EXPRESSIONS, dice.choice([1, 1, 2])))

    wishes = tuple((dice.randint(1, 3), drawn()) for _ in range(dice.randint(0, 3)))
    more = {"nodeSelector": {POOL: dice.choice("ab")}} if dice.random() < 0.2 else {}
    asked = asking(*(drawn() for _ in range(dice.randint(0, 3))), prefer=wishes, **more)
    assert looks(asked) == (overlooked(asked) == "")
