"""Random well-typed expressions over random pods and pools, for comparing runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

STRINGS = ("", "a", "b", "gpu", "gpu-17", "eu-1a", "eu-1b", "nvidia.com/gpu", "ÿ", "17", "1.5", "true", "NoSchedule")
KEYS = ("a", "b", "app", "zone", "nvidia.com/gpu")
INTS = (0, 1, -1, 2, 3, 7, 17, 1000, 2**31, 2**53, 2**63 - 1, -(2**63))
DOUBLES = ("0.0", "1.0", "-1.5", "0.5", "3.0", "1e3", "1e18")
PATTERNS = ("^gpu", "[0-9]+$", "^[a-z]*$", "a|b", ".", "^$", "eu-1[ab]")
DURATIONS = ("0s", "1s", "1.5s", "-1h", "90m", "1h30m", "36h")
TIMESTAMPS = ("1970-01-01T00:00:00Z", "2026-03-01T05:06:07Z", "2026-12-31T23:59:59.5Z", "0001-01-01T00:00:00Z")
ZONES = ("UTC", "Europe/Zurich", "+05:30", "-08:00", "America/New_York")

Scope = Sequence[tuple[str, str]]  # variables of macros: name and type


class Writer:
    """Writes expressions of a type, some levels deep at most."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.count = 0

    def one(self, kind: str, depth: int, scope: Scope = ()) -> str:
        """An expression of a type: bool, int, uint, double, string, strings, ints, map, duration, timestamp."""
        names = [name for name, type_ in scope if type_ == kind]
        if names and self.random.random() < 0.4:
            return self.random.choice(names)
        leaves, nodes = _LEAVES[kind], _NODES[kind]
        choice = self.random.choice(leaves if depth <= 0 else (*nodes, *nodes, *leaves))
        return choice(self, depth - 1, scope)

    def variable(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def condition(self, depth: int, scope: Scope) -> str:
        """Of bool, and sometimes an error."""
        return self.one("bool", depth, scope)

    def word(self, words: Sequence[str]) -> str:
        return self.random.choice(words)

    def pick(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)


Rule = Callable[[Writer, int, Scope], str]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _constant(values: Sequence[Any], form: str = "{}") -> Rule:
    return lambda w, _, __: form.format(w.pick(values))


def _text(values: Sequence[str], form: str = "{}") -> Rule:
    return lambda w, _, __: form.format(quoted(w.pick(values)))


def _form(form: str, *kinds: str) -> Rule:
    """A template whose holes are filled with expressions of the given types."""
    return lambda w, depth, scope: form.format(*(w.one(kind, depth, scope) for kind in kinds))


def _choice(*forms: str) -> Rule:
    return lambda w, _, __: w.pick(forms)


def _macro(form: str, source: str, element: str, body: str) -> Rule:
    """`{range}.all({name}, {body})` over something of type `source` whose elements are of type `element`."""

    def rule(w: Writer, depth: int, scope: Scope) -> str:
        walked = w.one(source, depth, scope)
        name = w.variable()
        inside = w.one(body, depth, (*scope, (name, element)))
        return form.format(walked, name, inside)

    return rule


def _objects(form: str, source: str, element: str) -> Rule:
    """A macro over objects of a pod or pool, whose body reads their fields."""

    def rule(w: Writer, depth: int, scope: Scope) -> str:
        name = w.variable()
        return form.format(source, name, _OBJECT[element](w, depth, scope, name))

    return rule


def _taint(w: Writer, depth: int, scope: Scope, name: str) -> str:
    return w.word((
        f"{name}.key == {quoted(w.pick(KEYS))}",
        f"{name}.effect == 'NoSchedule' && {w.condition(depth, scope)}",
        f"has({name}.value) && {name}.value == {w.one('string', depth, scope)}",
        f"{name}.value != {w.one('string', depth, scope)}",
    ))  # fmt: skip


def _container(w: Writer, depth: int, scope: Scope, name: str) -> str:
    return w.word((
        f"{name}.name == {w.one('string', depth, scope)}",
        f"{name}.image.startsWith({w.one('string', depth, scope)})",
        f"has({name}.resources) && 'nvidia.com/gpu' in {name}.resources.limits",
        f"int({name}.resources.limits['nvidia.com/gpu']) > {w.one('int', depth, scope)}",
        f"{name}.?resources.?limits[?'nvidia.com/gpu'].orValue('0') == {w.one('string', depth, scope)}",
        f"{name}.ports.exists(p, p.containerPort == {w.one('int', depth, scope)})",
    ))  # fmt: skip


_OBJECT = {"taint": _taint, "container": _container}
_COMPARED = ("int", "double", "string", "duration", "timestamp", "uint")


def _compare(w: Writer, depth: int, scope: Scope) -> str:
    kind = w.pick(_COMPARED)
    left, right = w.one(kind, depth, scope), w.one(kind, depth, scope)
    return f"({left} {w.pick(('==', '!=', '<', '<=', '>', '>='))} {right})"


def _same(w: Writer, depth: int, scope: Scope) -> str:
    kind = w.pick(("strings", "ints", "map", "bool"))
    return f"({w.one(kind, depth, scope)} {w.pick(('==', '!='))} {w.one(kind, depth, scope)})"


def _numbers(w: Writer, depth: int, scope: Scope) -> str:
    left, right = (w.one(w.pick(("int", "uint", "double")), depth, scope) for _ in range(2))
    return f"(dyn({left}) {w.pick(('<', '<=', '>', '>='))} {right})"


def _dynamic(w: Writer, depth: int, scope: Scope) -> str:
    left, right = (w.one(w.pick(tuple(_LEAVES)), depth, scope) for _ in range(2))
    return f"(dyn({left}) {w.pick(('==', '!=', '<', '>='))} dyn({right}))"


_PARTS: Sequence[str] = (
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
)
_LEAVES: Mapping[str, tuple[Rule, ...]] = {
    "bool": (_constant(("true", "false")), _choice("has(pod.spec.nodeName)", "pod.spec.hostNetwork", "has(pool.price)"),
             _text(KEYS, "({} in pool.labels)"), _text(STRINGS, "(pool.name == {})")),
    "int": (_constant(INTS, "({})"), _choice("pool.gpus", "pool.nodes", "pod.spec.priority", "pool.memory")),
    "uint": (_constant((0, 1, 2, 17, 2**64 - 1), "{}u"),),
    "double": (_constant(DOUBLES, "({})"), _choice("pool.cpu", "pool.price")),
    "string": (_text(STRINGS), _choice("pool.name", "pod.metadata.name", "pod.spec.nodeName", "pod.spec.schedulerName"),
               _text(KEYS, "pool.labels[{}]"), _text(KEYS, "pod.metadata.labels[{}]")),
    "strings": (_choice("pool.zones", "pool.capacityTypes", "['a', 'b', 'gpu']", "pool.values['zone']"),),
    "ints": (_choice("[1, 2, 3]", "[7]", "[0, -1, 17]", "[pool.gpus, pool.nodes]"),),
    "map": (_choice("pool.labels", "pod.metadata.labels", "pool.annotations", "{'a': 'b', 'zone': 'eu-1a'}"),),
    "duration": (_text(DURATIONS, "duration({})"),),
    "timestamp": (_text(TIMESTAMPS, "timestamp({})"),),
}  # fmt: skip
_NODES: Mapping[str, tuple[Rule, ...]] = {
    "bool": (
        _form("({} && {})", "bool", "bool"),
        _form("({} || {})", "bool", "bool"),
        _form("({} && {} && {})", "bool", "bool", "bool"),
        _form("({} || {} || {})", "bool", "bool", "bool"),
        _form("!{}", "bool"),
        _form("({} ? {} : {})", "bool", "bool", "bool"),
        _compare, _compare, _same, _numbers, _dynamic,
        _form("({} in {})", "string", "strings"),
        _form("({} in {})", "int", "ints"),
        _form("({} in {})", "string", "map"),
        _form("{}.startsWith({})", "string", "string"),
        _form("{}.endsWith({})", "string", "string"),
        _form("{}.contains({})", "string", "string"),
        lambda w, d, s: f"{w.one('string', d, s)}.matches({quoted(w.pick(PATTERNS))})",
        _macro("{}.all({}, {})", "strings", "string", "bool"),
        _macro("{}.exists({}, {})", "strings", "string", "bool"),
        _macro("{}.exists_one({}, {})", "ints", "int", "bool"),
        _macro("{}.all({}, {})", "ints", "int", "bool"),
        _macro("{}.exists({}, {})", "map", "string", "bool"),
        _objects("{}.exists({}, {})", "pool.taints", "taint"),
        _objects("{}.all({}, {})", "pool.taints", "taint"),
        _objects("{}.exists({}, {})", "pod.spec.containers", "container"),
        _objects("{}.all({}, {})", "pod.spec.containers", "container"),
        _form("bool({})", "string"),
        _form("{}[?{}].hasValue()", "map", "string"),
        _form("(type({}) == type({}))", "string", "int"),
    ),
    "int": (
        _form("({} + {})", "int", "int"), _form("({} - {})", "int", "int"), _form("({} * {})", "int", "int"),
        _form("({} / {})", "int", "int"), _form("({} % {})", "int", "int"), _form("(-{})", "int"),
        _form("size({})", "string"), _form("{}.size()", "strings"), _form("size({})", "map"),
        _form("int({})", "string"), _form("int({})", "double"), _form("int({})", "uint"), _form("int({})", "timestamp"),
        _form("({} ? {} : {})", "bool", "int", "int"),
        _form("{}[{}]", "ints", "int"), _form("{}[?{}].orValue({})", "ints", "int", "int"),
        _form("{}.indexOf({})", "string", "string"), _form("{}.lastIndexOf({})", "string", "string"),
        _objects("size({}.filter({}, {}))", "pool.taints", "taint"),
        _objects("size({}.filter({}, {}))", "pod.spec.containers", "container"),
        lambda w, d, s: f"{w.one('timestamp', d, s)}.{w.pick(_PARTS)}({w.pick(('', quoted(w.pick(ZONES))))})",
        lambda w, d, s: f"{w.one('duration', d, s)}.{w.pick(('getHours', 'getMinutes', 'getSeconds'))}()",
    ),
    "uint": (
        _form("({} + {})", "uint", "uint"), _form("({} - {})", "uint", "uint"), _form("({} * {})", "uint", "uint"),
        _form("({} / {})", "uint", "uint"), _form("({} % {})", "uint", "uint"),
        _form("uint({})", "int"), _form("uint({})", "double"), _form("uint({})", "string"),
    ),
    "double": (
        _form("({} + {})", "double", "double"), _form("({} - {})", "double", "double"),
        _form("({} * {})", "double", "double"), _form("(-{})", "double"), _form("double({})", "int"),
        _form("double({})", "uint"), _form("double({})", "string"), _form("({} ? {} : {})", "bool", "double", "double"),
    ),
    "string": (
        _form("({} + {})", "string", "string"), _form("string({})", "int"), _form("string({})", "bool"),
        _form("string({})", "uint"), _form("string({})", "string"), _form("({} ? {} : {})", "bool", "string", "string"),
        _form("{}[{}]", "strings", "int"), _form("{}[{}]", "map", "string"),
        _form("{}[?{}].orValue({})", "map", "string", "string"),
        _form("{}.lowerAscii()", "string"), _form("{}.upperAscii()", "string"), _form("{}.trim()", "string"),
        _form("{}.replace({}, {})", "string", "string", "string"), _form("{}.substring({})", "string", "int"),
        _form("{}.charAt({})", "string", "int"),
        _form("{}.join('-')", "strings"), _form("string(bytes({}))", "string"),
        _form("pod.spec.?nodeName.orValue({})", "string"),
    ),
    "strings": (
        _form("({} + {})", "strings", "strings"), _form("[{}, {}]", "string", "string"),
        _form("{}.split('-')", "string"),
        _macro("{}.map({}, {})", "strings", "string", "string"),
        _macro("{}.filter({}, {})", "strings", "string", "bool"),
        _macro("{}.map({}, {})", "ints", "int", "string"), _form("({} ? {} : {})", "bool", "strings", "strings"),
    ),
    "ints": (
        _form("({} + {})", "ints", "ints"), _form("[{}, {}]", "int", "int"), _form("[{}, ?[1, 7][?{}]]", "int", "int"),
        _macro("{}.map({}, {})", "ints", "int", "int"), _macro("{}.filter({}, {})", "ints", "int", "bool"),
    ),
    "map": (_form("{{{}: {}}}", "string", "string"), _form("{{'k': {}, ?'z': {{'a': 'b'}}[?{}]}}", "string", "string"),
            _form("({} ? {} : {})", "bool", "map", "map")),
    "duration": (_form("({} + {})", "duration", "duration"), _form("({} - {})", "duration", "duration"),
                 _form("({} - {})", "timestamp", "timestamp")),
    "timestamp": (_form("({} + {})", "timestamp", "duration"), _form("({} - {})", "timestamp", "duration"),
                  _form("timestamp({})", "int")),
}  # fmt: skip
RESULTS = tuple(_NODES)


def expression(random: Random) -> str:
    """A random expression, most often a condition."""
    writer = Writer(random)
    kind = "bool" if random.random() < 0.7 else random.choice(RESULTS)
    return writer.one(kind, random.choice((1, 2, 3, 4)))


def _some(random: Random, values: Sequence[str]) -> list[str]:
    return random.sample(values, random.randrange(min(4, len(values)) + 1))


def pod(random: Random) -> dict[str, Any]:
    """A pod as JSON, with optional fields here and not there."""
    spec: dict[str, Any] = {
        "containers": [_a_container(random) for _ in range(random.randrange(1, 4))],
        "schedulerName": "default-scheduler",
    }
    metadata: dict[str, Any] = {"name": random.choice(STRINGS), "namespace": "default"}
    if random.random() < 0.7:
        metadata["labels"] = {key: random.choice(STRINGS) for key in _some(random, KEYS)}
    if random.random() < 0.4:
        spec["nodeName"] = random.choice(STRINGS)
    if random.random() < 0.4:
        spec["hostNetwork"] = random.random() < 0.5
    if random.random() < 0.4:
        spec["priority"] = random.choice(INTS[:8])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _a_container(random: Random) -> dict[str, Any]:
    container: dict[str, Any] = {"name": random.choice(STRINGS), "image": random.choice(STRINGS)}
    if random.random() < 0.6:
        limits = {key: random.choice(("0", "1", "8", "500m")) for key in _some(random, ("cpu", "nvidia.com/gpu"))}
        container["resources"] = {"limits": limits}
    if random.random() < 0.5:
        container["ports"] = [{"containerPort": random.choice((1, 7, 17, 1000))}]
    return container


def pool(random: Random) -> dict[str, Any]:
    """A pool as expressions see it."""
    taints: list[dict[str, Any]] = []
    for key in _some(random, KEYS):
        taints.append({"key": key, "effect": random.choice(("NoSchedule", "NoExecute"))})
        if random.random() < 0.6:
            taints[-1]["value"] = random.choice(STRINGS)
    view = {
        "name": random.choice(STRINGS),
        "labels": {key: random.choice(STRINGS) for key in _some(random, KEYS)},
        "values": {key: _some(random, STRINGS) for key in _some(random, KEYS)},
        "annotations": {key: random.choice(STRINGS) for key in _some(random, KEYS)},
        "taints": taints,
        "zones": _some(random, STRINGS),
        "capacityTypes": _some(random, ("spot", "on-demand")),
        "nodes": random.choice(INTS[:8]),
        "cpu": random.choice((0.0, 0.5, 96.0)),
        "memory": random.choice(INTS[4:10]),
        "gpus": random.choice(INTS[:6]),
    }
    return view | ({"price": random.choice((0.0, 1.5))} if random.random() < 0.5 else {})
