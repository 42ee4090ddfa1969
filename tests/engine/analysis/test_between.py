"""engine.analysis.between: what policies of different bundles do to each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.analysis import Version, conflicts_between
from engine.bundle import parse_bundle
from engine.documents import Problem
from engine.program import compile_bundle
from tests.engine.builders import inventory

HEAD = {"apiVersion": "bayplan.dev/v1alpha1"}
POOLS = [("fleet", inventory())]


def between(versions: Sequence[Version], *more: Any) -> tuple[Problem, ...]:
    """All problems."""
    found = conflicts_between(versions, *more)
    assert len(found) == len(versions)
    return tuple(problem for each in found for problem in each)


def version(name: str, params: dict[str, Any] | None = None, **specs: dict[str, Any]) -> Version:
    files = {
        f"{policy}.yaml": json.dumps(
            {**HEAD, "kind": "PlacementPolicy", "metadata": {"name": policy.replace("_", "-")}, "spec": spec}
        )
        for policy, spec in specs.items()
    }
    spec = {"version": "1.0.0", "params": params or {}}
    files["bundle.yaml"] = json.dumps({**HEAD, "kind": "Bundle", "metadata": {"name": name}, "spec": spec})
    bundle, problems = parse_bundle(files)
    assert bundle is not None, problems
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
    assert len(between([one, other], POOLS)) == 1
    assert between([one, version("b", gold, b_x=tier("params.wanted"))], POOLS) == ()


def test_conflicts_inside_one_bundle_are_its_own_affair() -> None:
    inside = version("a", a_gold=tier('"gold"'), a_base=tier('"base"'))
    assert between([inside, version("b", b_any=tier('"gold" || true'))], POOLS) == ()


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
