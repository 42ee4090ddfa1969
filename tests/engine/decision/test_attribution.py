"""engine.decision.attribution: whose doing a patch is, as each policy would have asked for it."""

from __future__ import annotations

from typing import Any

from engine.decision.attribution import added
from engine.nodeselector import integers, one_of, term_of
from engine.placement import Placement, placed, pod_term, term_identity
from tests.engine.builders import decide, outcomes, pod
from tests.engine.matching import PREFERRED, REQUIRED

ZONE, HOST = (pod_term(key, {"matchLabels": {"app": "web"}}) for key in ("zone", "host"))
GPU = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
SPREAD = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}


def test_what_is_there_is_not_added() -> None:
    """Of everything that a placement can say; wishes that take several terms are told one by one."""
    a, b = term_of({"a": one_of("x")}), term_of({"b": integers()})
    placement = Placement(
        preferred=((5, a), (7, b)),
        tolerations=(GPU,),
        spread=(SPREAD,),
        pod_affinity=((None, ZONE), (5, HOST)),
        pod_anti_affinity=((5, ZONE),),
    )
    fresh = added(pod(), placed(pod(), placement))
    assert fresh.preferred == {a, *b.split()}
    assert fresh.pod_affinity == {term_identity(one, {}) for one in (ZONE, HOST)}
    assert fresh.pod_anti_affinity == {term_identity(ZONE, {})}
    assert (fresh.tolerations, fresh.spread) == ([GPU], [SPREAD])

    mine = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["x"]}]}
    affinity: dict[str, Any] = {
        "nodeAffinity": {PREFERRED: [{"weight": 5, "preference": mine}]},
        "podAffinity": {REQUIRED: [ZONE]},
        "podAntiAffinity": {PREFERRED: [{"weight": 5, "podAffinityTerm": ZONE}]},
    }
    given = pod(affinity=affinity, tolerations=[GPU], topologySpreadConstraints=[SPREAD])
    rest = added(given, placed(given, placement))
    assert rest.preferred == set(b.split())
    assert rest.pod_affinity == {term_identity(HOST, {})}
    assert (rest.pod_anti_affinity, list(rest.tolerations), rest.spread) == (frozenset(), [], [SPREAD])


def test_a_stricter_constraint_is_the_doing_of_who_asked_for_it() -> None:
    """Of three policies on one topology the second asks for less skew, and the third counts other pods."""
    item = "topologyKey: zone, whenUnsatisfiable: DoNotSchedule"
    specs = [
        f"spread: [{{{item}, maxSkew: 3, labelSelector: {{matchLabels: {{a: b}}}}}}]",
        f"spread: [{{{item}, maxSkew: 1, labelSelector: {{matchLabels: {{a: b}}}}}}]",
        f"spread: [{{{item}, maxSkew: 1, labelSelector: {{matchLabels: {{c: d}}}}}}]",
    ]
    mine = {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 3}
    given = pod(topologySpreadConstraints=[{**mine, "labelSelector": {"matchLabels": {"a": "b"}}}])
    assert outcomes(decide(*specs, given=given)) == {"one": "satisfied", "two": "applied", "three": "overruled"}
