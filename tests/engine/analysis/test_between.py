"""engine.analysis.between: what policies of different bundles do to each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.analysis import Version, examine, problems_between, tolerated_between
from engine.bundle import parse_bundle
from engine.documents import Problem
from engine.program import compile_bundle
from tests.engine.builders import inventory

HEAD = {"apiVersion": "bayplan.dev/v1alpha1"}
EXEMPTION = {"name": "e", "reason": "r", "namespaceSelector": {"matchLabels": {"open": "yes"}}}
TAINTED = """
apiVersion: bayplan.dev/v1alpha1
kind: Inventory
pools:
  - name: gold
    selector: {pool: gold}
    labels: {tier: gold}
    taints: [{key: k, value: v, effect: NoSchedule}]
"""
POOLS = [("fleet", inventory())]


def between(versions: Sequence[Version], *more: Any) -> tuple[Problem, ...]:
    """All problems."""
    found = problems_between(versions, *more)
    assert len(found) == len(versions)
    return tuple(problem for each in found for problem in each)


def version(name: str, params: dict[str, Any] | None = None, **specs: dict[str, Any]) -> Version:
    return bundled(name, {"params": params or {}}, **specs)


def bundled(name: str, fields: dict[str, Any], **specs: dict[str, Any]) -> Version:
    """A bundle of policies, and what it says as a whole."""
    files = {
        f"{policy}.yaml": json.dumps(
            {**HEAD, "kind": "PlacementPolicy", "metadata": {"name": policy.replace("_", "-")}, "spec": spec}
        )
        for policy, spec in specs.items()
    }
    spec = {"version": "1.0.0", **fields}
    files["bundle.yaml"] = json.dumps({**HEAD, "kind": "Bundle", "metadata": {"name": name}, "spec": spec})
    bundle, problems = parse_bundle(files)
    assert problems == ()
    assert bundle is not None
    return Version(bundle, compile_bundle(bundle))


def tier(wanted: str, **more: Any) -> dict[str, Any]:
    return {"require": [{"expression": f'pool.labels["tier"] == {wanted}'}], **more}


def test_policies_of_different_bundles_that_leave_no_pool_are_told_with_who_gives_way() -> None:
    (problem,) = between([version("a", a_gold=tier('"gold"', priority=1)), version("b", b_base=tier('"base"'))], POOLS)
    assert (problem.rule, problem.severity) == ("conflicting-policies", "warning")
    assert problem.message.startswith("`a-gold` and `b-base` together leave no pool to ")
    assert str(problem.span).startswith("b_base.yaml")
    assert problem.message.endswith("such a pod is refused")


def test_priority_says_across_bundles_who_gives_way() -> None:
    (problem,) = between([version("a", a_gold=tier('"gold"')), version("b", b_base=tier('"base"', priority=1))], POOLS)
    assert str(problem.span).startswith("a_gold.yaml")


def test_each_reads_its_own_constants() -> None:
    gold, base = {"wanted": "gold"}, {"wanted": "base"}
    one, other = version("a", gold, a_x=tier("params.wanted")), version("b", base, b_x=tier("params.wanted"))
    assert [each.rule for each in between([one, other], POOLS)] == ["conflicting-policies"]
    same = between([one, version("b", gold, b_x=tier("params.wanted"))], POOLS)
    assert [each.rule for each in same] == ["redundant-policy"]


def test_conflicts_inside_one_bundle_are_its_own_affair() -> None:
    inside = version("a", a_gold=tier('"gold"'), a_base=tier('"base"'))
    assert between([inside, version("b", b_any={"deny": [{"expression": "false"}]})], POOLS) == ()


def test_what_never_meets_is_no_conflict() -> None:
    web, batch = ({"podSelector": {"matchLabels": {"app": app}}} for app in ("web", "batch"))
    assert between([version("a", a_x=tier('"gold"', **web)), version("b", b_x=tier('"base"', **batch))], POOLS) == ()
    audited = version("b", b_x=tier('"base"', mode="audit"))
    assert between([version("a", a_x=tier('"gold"')), audited], POOLS) == ()


def test_of_one_bundle_or_without_pools_nothing_is_said() -> None:
    one, other = version("a", a_x=tier('"gold"')), version("b", b_x=tier('"base"'))
    assert between([one], POOLS) == ()
    assert between([one, other], []) == ()


def test_what_depends_on_the_cluster_is_left_out_unless_it_is_known() -> None:
    named = version("b", b_x=tier('(cluster.name == "x" ? "base" : "gold")'))
    assert between([version("a", a_x=tier('"gold"')), named], POOLS) == ()
    assert len(between([version("a", a_x=tier('"gold"')), named], POOLS, {"name": "x", "labels": {}})) == 1


def redundant(*versions: Version) -> list[tuple[str, str]]:
    """Where a policy is that one of another bundle makes redundant, and that one."""
    found = between(versions, POOLS)
    return [(str(one.span).split(":")[0], one.hint.split("`")[1]) for one in found if one.rule == "redundant-policy"]


def test_a_policy_of_another_bundle_may_say_the_same() -> None:
    one, other = version("a", a_x=tier('"gold"')), version("b", b_x=tier('"gold"'))
    (problem,) = between([one, other], POOLS)
    assert problem.message == "`b-x` changes nothing: `a-x` applies wherever it does, and leaves no other nodes"
    assert problem.hint == "`a-x` is of bundle `a`: leave this one out if that is to serve beside it for good"
    assert str(problem.span).startswith("b_x.yaml")
    assert redundant(other, one) == [("b_x.yaml", "a-x")], "whichever is named first"
    assert redundant(one, version("b", b_x=tier('"gold"', priority=1))) == [("a_x.yaml", "b-x")]


def test_what_is_said_by_constants_is_the_same_if_they_are() -> None:
    gold, base = {"wanted": "gold"}, {"wanted": "base"}
    depends = {"require": [{"expression": "pool.name != pod.metadata.name + params.wanted"}]}
    one = version("a", gold, a_x=depends)
    assert redundant(one, version("b", gold, b_x=depends)) == [("b_x.yaml", "a-x")]
    assert redundant(one, version("b", base, b_x=depends)) == []
    variable = {
        "variables": [{"name": "v", "expression": "params.wanted"}],
        "require": [{"expression": "pool.name != pod.metadata.name + variables.v"}],
    }
    assert redundant(version("a", gold, a_x=variable), version("b", base, b_x=variable)) == []
    assert redundant(version("a", gold, a_x=variable), version("b", gold, b_x=variable)) == [("b_x.yaml", "a-x")]
    known = version("a", gold, a_x=tier("params.wanted"))
    assert redundant(known, version("b", base, b_x=tier('"gold"'))) == [("b_x.yaml", "a-x")], "each by its own"
    assert redundant(known, version("b", base, b_x=tier("params.wanted"))) == []


def test_what_another_bundle_lets_off_is_not_redundant() -> None:
    one, other = version("a", a_x=tier('"gold"')), version("b", b_x=tier('"gold"'))
    exempting = bundled("a", {"exemptions": [EXEMPTION]}, a_x=tier('"gold"'))
    assert redundant(exempting, other) == []
    exempted = bundled("b", {"exemptions": [EXEMPTION]}, b_x=tier('"gold"'))
    assert redundant(one, exempted) == [("b_x.yaml", "a-x")], "where it does not apply itself it changes nothing either"
    for handling in ({"daemonSets": True}, {"namespaces": ["kube-system"]}):
        assert redundant(one, bundled("b", {"handsOn": handling}, b_x=tier('"gold"'))) == []


def test_a_bundle_that_is_audited_makes_none_redundant() -> None:
    strict, audited = version("b", b_x=tier('"gold"')), bundled("a", {"mode": "audit"}, a_x=tier('"gold"'))
    assert redundant(audited, strict) == []
    assert redundant(audited, bundled("b", {"mode": "audit"}, b_x=tier('"gold"'))) == [("b_x.yaml", "a-x")]
    assert redundant(audited, bundled("b", {"mode": "off"}, b_x=tier('"gold"'))) == []


def test_what_is_redundant_within_a_bundle_is_its_own_affair() -> None:
    inside = version("a", a_x=tier('"gold"'), a_y=tier('"gold"'))
    assert redundant(inside, version("b", b_x={"deny": [{"expression": "false"}]})) == []


def test_what_another_bundle_tolerates_is_no_longer_told() -> None:
    tainted = [("fleet", inventory(TAINTED))]
    one = version("a", a_x=tier('"gold"'))
    (problem,) = examine(one.bundle, one.program, tainted).problems
    assert problem.rule == "untolerated-pools"
    tolerating = version("b", {"key": "k"}, b_x={"tolerate": [{"expression": "taint.key == params.key"}]})
    other = version("b", {"key": "j"}, b_x={"tolerate": [{"expression": "taint.key == params.key"}]})
    assert tolerated_between(one, [problem], [one, tolerating], tainted) == ()
    assert tolerated_between(one, [problem], [tolerating, one], tainted) == ()
    assert tolerated_between(one, [problem], [one, other], tainted) == (problem,)
    assert tolerated_between(one, [problem], [one], tainted) == (problem,)
