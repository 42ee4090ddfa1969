"""engine.memory: what is kept is counted in bytes; and all that requests leave behind is bounded in bytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from engine.language.regex import compile_pattern
from engine.memory import ENTRY, Memory
from engine.names import is_label_key, is_label_value
from engine.nodeselector import from_expression
from tests.engine.builders import pod

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def test_what_is_kept_is_counted_in_bytes() -> None:
    memory: Memory[int, str] = Memory(10 * (ENTRY + 100), ENTRY + 100)
    for i in range(10):
        assert memory.keep(i, "x", 100) == "x"
    assert list(memory) == list(range(10))
    assert memory.keep(10, "y", 100) == "y"
    assert dict(memory) == {10: "y"}  # past the limit all is forgotten, and the count begins anew
    for i in range(9):
        memory.keep(i, "x", 100)
    assert len(memory) == 10


def test_what_is_long_is_not_kept() -> None:
    memory: Memory[int, str] = Memory(10_000, ENTRY + 100)
    assert memory.keep(1, "x", 101) == "x"
    assert not memory
    assert memory.keep(1, "x", 100) == "x"
    assert memory


def test_what_is_there_is_not_counted_twice() -> None:
    memory: Memory[int, str] = Memory(2 * (ENTRY + 100), ENTRY + 100)
    for key in (1, 2, 2, 2, 1):
        memory.keep(key, "x", 100)
    assert set(memory) == {1, 2}


def hostile(i: int) -> dict[str, Any]:
    """A pod that is another each time, and has something of a megabyte wherever something is remembered."""
    long = f"{i:04}" * 250_000
    short = [f"v{i}-{j}" for j in range(3_000)]
    terms = [
        {"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": short}]},
        {"matchExpressions": [{"key": f"k{i}", "operator": "In", "values": [long]}]},
        {"matchExpressions": [{"key": long, "operator": "Exists"}, {"key": "a", "operator": long}]},
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [long]}]},
        {"matchExpressions": [{"key": "n", "operator": "Gt", "values": ["9" * 500_000]}]},
    ]
    labels = {"long": long, "key": f"key-{i}", "zone": "a", "pattern": f"[a-z]{{1,{i + 1}}}{i}"}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}
    requests = {"requests": {"cpu": long, f"x/{i}": "1"}}
    containers = [{"name": "c", "image": long, "args": [long], "resources": requests}]
    return pod(affinity=affinity, metadata={"labels": labels}, containers=containers, nodeSelector={"tier": long})


POLICIES = (
    'require: [{expression: \'node.labels[pod.metadata.labels["long"]] == pod.metadata.labels["long"]\'}]',
    "require: [{expression: 'pool.labels[pod.metadata.labels[\"key\"]] == pod.spec.containers[0].args[0]'}]",
    'require: [{expression: \'node.zone in ["a", pod.metadata.labels["zone"]] || requests.cpu > 1\'}]',
    "matchConditions: [{name: m, expression: '!pod.spec.containers[0].args[0].substring(0, 9)"
    '.matches(pod.metadata.labels["pattern"])\'}]\ndeny: [{expression: \'timestamp("2026-01-01T00:00:00Z")'
    '.getHours(pod.metadata.labels["long"]) > 1\'}]',
)


RESIDENT = """
import gc, resource
from tests.engine.builders import decider, incoming
from tests.engine.test_memory import POLICIES, hostile
one = decider(*POLICIES)
def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
for i in range(20):
    one.decide(incoming(hostile(i)))
before = resident()
for i in range(20, 220):
    one.decide(incoming(hostile(i)))
print(resident() - before)
"""


def test_requests_leave_little_behind() -> None:
    """Of Python's objects and of compiled patterns alike, so a process of its own is measured."""
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20 << 20


def test_long_texts_are_answered_all_the_same() -> None:
    long = "x" * 1_000_000
    assert not is_label_value(long)
    assert not is_label_key(long)
    assert from_expression({"key": "a", "operator": "In", "values": [long]}).impossible
    assert from_expression({"key": "a", "operator": long}).impossible
    many = [f"v{i}" for i in range(9_000)]
    assert from_expression({"key": "a", "operator": "NotIn", "values": many}).odd == set(many)


def patterns() -> Iterator[str]:
    return (f"a{{1,{i}}}b" for i in range(1, 200))


def test_patterns_are_remembered_and_few_of_them() -> None:
    assert compile_pattern("abc") is compile_pattern("abc")
    kept = [compile_pattern(one) for one in patterns()]
    assert sum(compile_pattern(one) is before for one, before in zip(patterns(), kept, strict=True)) <= 32
