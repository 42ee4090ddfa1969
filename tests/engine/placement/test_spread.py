"""engine.placement.spread: one constraint for each identity, the stricter of equals, the first of others."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.placement.spread import combined_constraints, constraint_identity, spread_constraint

LABELS = {"app": "web", "rev": "1"}
WEB, OTHER = {"matchLabels": {"app": "web"}}, {"matchLabels": {"app": "other"}}


def zone(skew: int, selector: dict[str, Any], unsatisfiable: str = "ScheduleAnyway", **more: Any) -> dict[str, Any]:
    return spread_constraint("zone", skew, unsatisfiable, selector, **more)


constraints = st.builds(
    spread_constraint,
    st.sampled_from(["zone", "host"]),
    st.integers(1, 3),
    st.sampled_from(["ScheduleAnyway", "DoNotSchedule"]),
    st.sampled_from([WEB, OTHER, {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}]),
    min_domains=st.sampled_from([None, 2, 3]),
    node_taints_policy=st.sampled_from([None, "Honor"]),
)
lists = st.lists(constraints, max_size=3)


@given(lists.map(lambda found: [*{constraint_identity(one): one for one in found}.values()]), lists)
def test_the_laws_of_combining(existing: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    merged, _ = combined_constraints(existing, wanted, LABELS)
    identities = [(one["topologyKey"], one["whenUnsatisfiable"]) for one in merged]
    assert [constraint_identity(one) for one in merged] == identities
    assert len(set(identities)) == len(identities)
    assert combined_constraints(merged, wanted, LABELS)[0] == merged
    for before, after in zip(existing, merged, strict=False):
        assert constraint_identity(before) == constraint_identity(after)
        assert after["maxSkew"] <= before["maxSkew"]
        assert {**before, "maxSkew": 0, "minDomains": 0} == {**after, "maxSkew": 0, "minDomains": 0}
    assert {constraint_identity(one) for one in wanted} <= set(identities)


def test_equal_selectors_take_the_stricter_skew_whatever_their_spelling() -> None:
    spelled = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}
    merged, overruled = combined_constraints([zone(3, spelled)], [zone(1, WEB)], LABELS)
    assert merged == (zone(1, spelled),)
    assert overruled == ()
    assert combined_constraints([zone(1, spelled)], [zone(3, WEB)], LABELS) == ((zone(1, spelled),), ())


def test_the_pods_match_label_keys_count() -> None:
    mine = {**zone(2, WEB), "matchLabelKeys": ["rev"]}
    with_revision = {"matchLabels": {"app": "web", "rev": "1"}}
    assert combined_constraints([mine], [zone(1, with_revision)], LABELS)[0] == ({**mine, "maxSkew": 1},)
    merged, overruled = combined_constraints([mine], [zone(1, WEB)], LABELS)
    assert merged == (mine,)
    assert overruled == ((0, "the pod's own constraint on `zone` (ScheduleAnyway) counts other pods"),)


def test_other_selectors_overrule_the_later_one_with_a_reason() -> None:
    merged, overruled = combined_constraints(
        [], [zone(2, WEB), zone(1, OTHER), zone(1, OTHER, "DoNotSchedule")], LABELS
    )
    assert merged == (zone(2, WEB), zone(1, OTHER, "DoNotSchedule"))
    assert overruled == ((1, "another policy's constraint on `zone` (ScheduleAnyway) counts other pods"),)


def test_a_null_selector_of_the_pod_counts_other_pods() -> None:
    mine = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}
    assert combined_constraints([mine], [zone(1, WEB)], LABELS)[1][0][0] == 0


def test_minimum_domains_become_stricter_too_and_node_policies_stay() -> None:
    mine = zone(2, WEB, "DoNotSchedule", node_taints_policy="Honor")
    wanted = zone(2, WEB, "DoNotSchedule", min_domains=3)
    merged, overruled = combined_constraints([mine], [wanted], LABELS)
    assert merged == ({**mine, "minDomains": 3},)
    assert overruled == ((0, "the pod's own constraint on `zone` (DoNotSchedule) keeps its nodeTaintsPolicy Honor"),)


def test_minimum_domains_are_legal_only_where_pods_wait() -> None:
    assert "minDomains" not in zone(1, WEB, min_domains=2)
    assert zone(1, WEB, "DoNotSchedule", min_domains=2, node_affinity_policy="Ignore") == {
        "topologyKey": "zone",
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": WEB,
        "minDomains": 2,
        "nodeAffinityPolicy": "Ignore",
    }


def test_one_topology_key_does_not_stand_for_another() -> None:
    host = spread_constraint("host", 5, "ScheduleAnyway", WEB)
    assert combined_constraints([host], [zone(1, WEB)], LABELS) == ((host, zone(1, WEB)), ())


def test_minimum_domains_of_the_pod_stay_where_they_are_stricter() -> None:
    def hard(domains: int | None) -> dict[str, Any]:
        return zone(1, WEB, "DoNotSchedule", min_domains=domains)

    for mine, wanted, kept in [(3, 2, 3), (2, 3, 3), (None, 2, 2), (2, None, 2), (None, 1, None)]:
        assert combined_constraints([hard(mine)], [hard(wanted)], LABELS) == ((hard(kept),), ())


def test_a_constraint_without_a_skew_stays_as_it_is() -> None:
    """A file may hold what the API server would refuse."""
    mine = {"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": WEB}
    assert combined_constraints([mine], [zone(1, WEB)], LABELS) == ((mine,), ())


def test_every_constraint_that_gives_way_is_told_and_to_whom() -> None:
    first, second = zone(1, WEB, node_taints_policy="Honor"), zone(1, WEB)
    hard = zone(1, WEB, "DoNotSchedule", node_affinity_policy="Ignore")
    _, overruled = combined_constraints([hard], [first, second, zone(1, OTHER), zone(1, WEB, "DoNotSchedule")], LABELS)
    assert overruled == (
        (1, "another policy's constraint on `zone` (ScheduleAnyway) keeps its nodeTaintsPolicy Honor"),
        (2, "another policy's constraint on `zone` (ScheduleAnyway) counts other pods"),
        (3, "the pod's own constraint on `zone` (DoNotSchedule) keeps its nodeAffinityPolicy Ignore"),
    )
