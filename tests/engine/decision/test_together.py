"""engine.decision.part: several bundles that decide together are one bundle that holds all they say, written out."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bundle import MODES, JointRevision, parse_bundle
from engine.decision import Decider, Decision, why_not
from engine.pools import Inventory
from engine.program import Program, compile_bundle
from engine.struct import replace
from tests.engine import worlds
from tests.engine.builders import DAEMON_SET_CONTROLLER, incoming, inventory, mirror, of_a_daemon_set, outcomes, pod
from tests.examples import examples

Json = dict[str, Any]
HEAD = {"apiVersion": "bayplan.dev/v1alpha1"}
PREFIXES = ("ml-", "net-", "ops-")
NO = [{"expression": "true"}]
TIERS = ("gold", "base", "tin")


def program(name: str, spec: Json, policies: Iterable[Json]) -> Program:
    """A bundle of these documents, compiled."""
    head = {**HEAD, "kind": "Bundle", "metadata": {"name": name}, "spec": {"version": "1.0.0", **spec}}
    files = {f"policies/{each['metadata']['name']}.yaml": json.dumps(each) for each in policies}
    bundle, problems = parse_bundle({"bundle.yaml": json.dumps(head), **files})
    assert bundle is not None, problems
    return compile_bundle(bundle)


def policy(name: str, **spec: Any) -> Json:
    return {**HEAD, "kind": "PlacementPolicy", "metadata": {"name": name}, "spec": spec}


def bound(documents: Iterable[Json], prefix: str, tier: str) -> list[Json]:
    """The policies of one bundle, each of which reads its constant `tier` under that name."""
    return [
        {
            **one,
            "metadata": {"name": prefix + one["metadata"]["name"]},
            "spec": {
                **one["spec"],
                "prefer": [
                    *one["spec"].get("prefer", []),
                    {"expression": f'pool.?labels["tier"].orValue("") == params.{tier}', "weight": 7},
                ],
                "matchConditions": [{"name": "some", "expression": f'params.{tier} != "tin"'}],
            },
        }
        for one in documents
    ]


def exemption(prefix: str, tier: str, of: Sequence[str] = ()) -> Json:
    return {
        "name": f"{prefix}some",
        "reason": "they are",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "team"}},
        "matchConditions": [
            {"name": "tier", "expression": f'params.{tier} == "base" && namespaceObject.metadata.name == "team"'}
        ],
        **({"policies": list(of)} if of else {}),
    }


def both_ways(dice: random.Random, world: worlds.World) -> tuple[list[Program], Program]:
    """The policies of a world in two or three bundles; and in one, which says for each policy what its bundle says."""
    several: list[Program] = []
    written: list[Json] = []
    count = dice.choice([2, 3])
    modes = [dice.choice([*MODES, "enforce", "enforce"]) for _ in range(count)]
    mild = min(modes, key=MODES.index)
    constants: Json = {"on": True, "off": False}
    exemptions: list[Json] = []
    documents = [worlds.a_policy(dice, f"{one}-{i}").document() for i, one in enumerate("abcd")]
    documents += [one.document() for one in world.policies]
    dice.shuffle(documents)
    for i, prefix in enumerate(PREFIXES[:count]):
        tier, key, mode = dice.choice(TIERS), f"tier{i}", modes[i]
        failure = dice.choice(["Ignore", "Fail"])
        exempts = dice.random() < 0.5
        mine = documents[i::count]
        for one in mine:
            one["spec"] |= {"mode": dice.choice([*MODES, "enforce"]), "rollout": dice.choice([100, 100, 50])}
            one["spec"] |= {"failurePolicy": dice.choice(["Ignore", "Fail"])} if dice.random() < 0.3 else {}
        params = {"on": True, "off": False, "tier": tier}
        own: Json = {"mode": mode, "params": params, "failurePolicy": failure}
        own |= {"exemptions": [exemption(prefix, "tier")]} if exempts else {}
        several.append(program(prefix.strip("-"), own, bound(mine, prefix, "tier")))
        for one in bound(mine, prefix, key):
            careful = max(one["spec"]["mode"], mode, key=MODES.index)
            said: Json = {"mode": careful if mode != mild else one["spec"]["mode"]}
            written.append({**one, "spec": {"failurePolicy": failure, **one["spec"], **said}})
        names = [prefix + one["metadata"]["name"] for one in mine]
        exemptions += [exemption(prefix, key, names)] if exempts else []
        constants[key] = tier
    whole = {"mode": mild, "params": constants, "exemptions": exemptions}
    return several, program("whole", {**whole, "failurePolicy": "Ignore"}, written)


def told(decision: Decision) -> str:
    """A decision but for revisions, and columns in files that are written otherwise."""
    data = decision.as_json()
    for one in (data, *data.get("portions", ())):
        one["policies"] = [{key: value for key, value in each.items() if key != "revision"} for each in one["policies"]]
    text = json.dumps(data | {"revision": ""}, sort_keys=True).replace(str(decision.revision), "REVISION")
    return re.sub(r"\.yaml:\d+:\d+", ".yaml", text)


@examples(30)
@given(st.integers(0, 2**32))
def test_several_bundles_decide_as_one_that_says_the_same(seed: int) -> None:
    dice = random.Random(seed)
    world = worlds.a_world(dice)
    pools = world.decider().pool_index.inventory
    several, whole = both_ways(dice, world)
    mode = dice.choice(["enforce", "audit"])
    together, alone = Decider(several, pools, mode=mode), Decider(whole, pools, mode=mode)
    for _ in range(3):
        given_pod = worlds.incoming(worlds.a_pod(dice))
        mine, its = together.decide(given_pod), alone.decide(given_pod)
        assert told(mine) == told(its)
        assert why_not(together, mine) == why_not(alone, its)
        backwards = Decider(several[::-1], pools, mode=mode).decide(given_pod)
        assert told(backwards) == told(mine)


ML = program(
    "ml",
    {"version": "2.0.0", "params": {"tier": "gold"}},
    [policy("ml-tier", require=[{"expression": 'pool.labels["tier"] == params.tier'}], priority=5)],
)
NET = program(
    "net",
    {"params": {"tier": "base"}},
    [policy("net-tier", require=[{"expression": 'pool.labels["tier"] == params.tier'}], whenEmpty="warn")],
)


def test_each_policy_says_which_bundle_it_is_of() -> None:
    decision = Decider([ML, NET], inventory()).decide(incoming())
    assert isinstance(decision.revision, JointRevision)
    assert str(decision.revision) == f"{ML.revision}, {NET.revision}"
    assert decision.revision.of("net-tier") is NET.revision
    data = decision.as_json()
    assert [(one["name"], one["outcome"], one["revision"]) for one in data["policies"]] == [
        ("ml-tier", "applied", str(ML.revision)),
        ("net-tier", "overruled", str(NET.revision)),
    ]


def test_of_one_bundle_policies_say_nothing_more() -> None:
    assert all("revision" not in one for one in Decider([ML], inventory()).decide(incoming()).as_json()["policies"])


@pytest.mark.parametrize("swapped", [False, True])
def test_one_bundle_is_renewed_and_what_is_known_of_the_others_stays(swapped: bool) -> None:
    before = Decider([ML, NET], inventory())
    other = program("net", {"version": "1.1.0"}, [policy("net-no", deny=[{"expression": "true"}])])
    after = before.renewed(before.pool_index.inventory, [ML, other] if swapped else None)
    assert after.parts[0].pool_facts is before.parts[0].pool_facts
    assert outcomes(after.decide(incoming())) == (
        {"ml-tier": "applied", "net-no": "denied"} if swapped else {"ml-tier": "applied", "net-tier": "overruled"}
    )
    assert outcomes(before.decide(incoming()))["net-tier"] == "overruled"


def test_other_pools_count_for_all_of_them() -> None:
    before = Decider([ML, NET], Inventory((), 0))
    assert before.renewed(inventory()).decide(incoming()).pools.after == ("gpu",)


def test_each_bundle_is_about_the_system_pods_that_it_says_itself() -> None:
    said = program("ml", {"handsOn": {"namespaces": ["kube-system"], "daemonSets": True}}, [policy("ml-no", deny=NO)])
    silent = program("net", {}, [policy("net-no", deny=NO)])
    together = Decider([said, silent], inventory())
    system = together.decide(incoming(namespace="kube-system"))
    assert outcomes(system) == {"ml-no": "denied", "net-no": "notMatched"}
    assert system.policies[1].message == "pods in namespace kube-system are left alone"
    of_set = together.decide(incoming(of_a_daemon_set(), user=DAEMON_SET_CONTROLLER))
    assert outcomes(of_set) == {"ml-no": "denied", "net-no": "notMatched"}
    alone = together.decide(incoming(namespace="kube-node-lease"))
    assert (alone.allowed, alone.message) == (True, "pods in namespace kube-node-lease are left alone")
    assert (
        together.decide(incoming(mirror())).warnings == Decider(silent, inventory()).decide(incoming(mirror())).warnings
    )


def test_a_template_is_for_those_who_ask_for_templates() -> None:
    asks = program("ml", {"handsOn": {"daemonSets": "template"}}, [policy("ml-no", deny=NO)])
    together = Decider([asks, program("net", {}, [policy("net-no", deny=NO)])], inventory())
    template = {"spec": pod()["spec"]}
    decision = together.decide(replace(incoming(), template=template))
    assert outcomes(decision) == {"ml-no": "denied", "net-no": "notMatched"}


def test_together_they_spend_what_one_may() -> None:
    few = list(range(12))
    loops = f"{few}.all(a, {few}.all(b, {few}.all(c, {few}.all(d, a + b + c + d + size(pod.spec.containers) > 0))))"
    dear = [{"expression": loops}]
    one, two = (program(n, {}, [policy(f"{n}-dear", require=dear)]) for n in ("ml", "net"))
    assert outcomes(Decider([two], inventory()).decide(incoming()))["net-dear"] != "failed"
    decision = Decider([one, two], inventory()).decide(incoming())
    assert outcomes(decision)["ml-dear"] != "failed"
    assert outcomes(decision)["net-dear"] == "failed"


def test_an_off_bundle_rests_and_the_others_do_not() -> None:
    off = program("net", {"mode": "off"}, [policy("net-no", deny=NO)])
    assert outcomes(Decider([ML, off], inventory()).decide(incoming())) == {"ml-tier": "applied", "net-no": "off"}
    both = Decider([off, program("ml", {"mode": "off"}, [policy("ml-no", deny=NO)])], inventory())
    assert both.decide(incoming()).message == "switched off"
