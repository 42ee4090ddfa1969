"""engine.pods.requests: what the scheduler counts for a pod, as its own Go code has it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from engine.documents import RequestError
from engine.pods.defaults import defaulted
from engine.pods.requests import LARGEST, quantities_in, requests_of
from tests.engine.oracle import built

Json = Any
BINARY = ["0", "1Ki", "64Mi", "1.5Gi", "1Gi", "0.1Ki", "3Ti", "512Pi"]
AMOUNTS: dict[str, list[Json]] = {
    "cpu": ["0", "1", "500m", "1500m", "0.1", "1u", "1n", "2.5", "1e3", "1E1", "250m", 2, 0.25],
    "memory": [*BINARY, "1", "128974848", "129e6", "1M", "100m", "1500m", 1048576],
    "ephemeral-storage": [*BINARY, "7G", "1500m"],
    "nvidia.com/gpu": ["0", "1", "4", 8, "2"],
    "hugepages-2Mi": ["0", "2Mi", "64Mi"],
    "example.com/odd.name": ["1", "3"],
}
POD_LEVEL = ("cpu", "memory", "hugepages-2Mi")


def quantities(dice: random.Random, names: tuple[str, ...] = tuple(AMOUNTS)) -> dict[str, Json]:
    return {name: dice.choice(AMOUNTS[name]) for name in names if dice.random() < 0.4}


def resources(dice: random.Random, names: tuple[str, ...] = tuple(AMOUNTS)) -> dict[str, Json]:
    return {kind: quantities(dice, names) for kind in ("requests", "limits") if dice.random() < 0.6}


def container(dice: random.Random, name: str) -> dict[str, Json]:
    made: dict[str, Json] = {"name": name, "image": "a"}
    if dice.random() < 0.9:
        made["resources"] = resources(dice)
    return made


def a_pod(dice: random.Random) -> dict[str, Json]:
    """A pod with any of: several containers, init containers, sidecars, overhead, pod-level resources, a status."""
    spec: dict[str, Json] = {"containers": [container(dice, f"c{i}") for i in range(dice.randint(1, 3))]}
    if dice.random() < 0.6:
        spec["initContainers"] = [
            container(dice, f"i{i}") | dice.choice([{}, {"restartPolicy": "Always"}]) for i in range(dice.randint(1, 4))
        ]
    if dice.random() < 0.3:
        spec["overhead"] = quantities(dice, ("cpu", "memory"))
    if dice.random() < 0.4:
        spec["resources"] = resources(dice, POD_LEVEL)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": spec}


def counted(pod: Json) -> dict[str, int]:
    """`requests`, in the units that the scheduler uses."""
    return {name: round(said * 1000) if name == "cpu" else int(said) for name, said in requests_of(pod).items()}


def test_as_the_scheduler_counts_1000_random_pods() -> None:
    dice = random.Random(12)
    pods = [a_pod(dice) for _ in range(1000)]
    answers = built().ask([(pods, [])])[0]
    assert sum(bool(answer.requests) for answer in answers) > 900
    different = [
        (pod, mine, answer.requests)
        for pod, answer in zip(pods, answers, strict=True)
        if (mine := counted(defaulted(pod))) != answer.requests
    ]
    assert different[:1] == []


def of(*containers: Json, **spec: Json) -> dict[str, int | float]:
    return requests_of({"spec": {"containers": [{"resources": {"requests": one}} for one in containers], **spec}})


def init(requests: Json, **more: Json) -> Json:
    return {"resources": {"requests": requests}, **more}


def test_cpu_is_in_cores_and_the_rest_in_whole_units() -> None:
    found = of({"cpu": "250m", "memory": "1Gi"}, {"cpu": "1", "nvidia.com/gpu": "2"})
    assert found == {"cpu": 1.25, "memory": 2**30, "nvidia.com/gpu": 2}
    assert [type(found[name]) for name in ("cpu", "memory", "nvidia.com/gpu")] == [float, int, int]


def test_fractions_are_rounded_up_after_everything_is_added() -> None:
    assert of({"cpu": "100u", "memory": "100m"}, {"cpu": "100u", "memory": "100m"}) == {"cpu": 0.001, "memory": 1}


def test_an_init_container_counts_if_it_needs_more_and_runs_beside_the_sidecars_before_it() -> None:
    sidecar = init({"cpu": "1"}, restartPolicy="Always")
    assert of({"cpu": "2"}, initContainers=[init({"cpu": "3"})])["cpu"] == 3.0
    assert of({"cpu": "2"}, initContainers=[sidecar, init({"cpu": "3"})])["cpu"] == 4.0
    assert of({"cpu": "2"}, initContainers=[init({"cpu": "3"}), sidecar])["cpu"] == 3.0
    assert of({"cpu": "2"}, initContainers=[sidecar, sidecar])["cpu"] == 4.0


def test_what_the_pod_asks_as_a_whole_replaces_its_containers_and_overhead_comes_on_top() -> None:
    whole = {"requests": {"cpu": "8", "nvidia.com/gpu": "9"}}
    found = of({"cpu": "1", "memory": "1Gi"}, resources=whole, overhead={"cpu": "500m", "memory": "1Mi"})
    assert found == {"cpu": 8.5, "memory": 2**30 + 2**20}


def test_limits_are_not_requests_until_the_api_server_has_made_them_so() -> None:
    pod = {"spec": {"containers": [{"resources": {"limits": {"cpu": "2"}}}]}}
    assert requests_of(pod) == {}
    assert requests_of(defaulted(pod)) == {"cpu": 2.0}


@pytest.mark.parametrize(
    "spec", [{}, {"containers": None}, {"containers": [{}]}, {"containers": [{"resources": None}]}]
)
def test_nothing_is_requested(spec: Json) -> None:
    assert requests_of({"spec": spec}) == {}


@pytest.mark.parametrize(
    ("amount", "counts"),
    [(4, 4), (2.5, 3), ("4", 4), (1e22, LARGEST), ("9e99", LARGEST), ("-9e99", -LARGEST - 1), (-3, -3), (None, 0)],
)
def test_odd_amounts_count_as_the_api_server_reads_them(amount: Json, counts: int) -> None:
    assert of({"nvidia.com/gpu": amount}) == {"nvidia.com/gpu": counts}


@pytest.mark.parametrize("amount", [True, "", "4 GPUs", [], {}, "1" * 200, "NaN", float("inf"), "٤"])
def test_what_is_no_quantity_is_an_error_with_its_place(amount: Json) -> None:
    with pytest.raises(RequestError, match=r"^spec\.containers\[1\]\.resources\.requests\.nvidia\.com/gpu: "):
        of({}, {"nvidia.com/gpu": amount})


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"containers": [1]}, "spec.containers[0]"),
        ({"containers": [{"resources": "all"}]}, "spec.containers[0].resources"),
        ({"containers": [{"resources": {"requests": ["cpu"]}}]}, "spec.containers[0].resources.requests"),
        ({"initContainers": [{"resources": {"requests": 1}}]}, "spec.initContainers[0].resources.requests"),
        ({"overhead": "1"}, "spec.overhead"),
        ({"resources": []}, "spec.resources"),
    ],
)
def test_odd_shapes_are_errors_with_their_place(spec: Json, place: str) -> None:
    assert quantities_in({"spec": spec}) >= 0
    with pytest.raises(RequestError) as caught:
        requests_of({"spec": spec})
    assert caught.value.path == place


def test_how_many_quantities_there_are() -> None:
    pod = {
        "spec": {
            "containers": [{"resources": {"requests": {"cpu": "1", "memory": "1"}, "limits": {"cpu": "1"}}}],
            "initContainers": [{"resources": {"requests": {"cpu": "1"}}}],
            "overhead": {"cpu": "1"},
            "resources": {"requests": {"cpu": "1"}},
        }
    }
    assert quantities_in(pod) == 5
