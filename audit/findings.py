"""Finding: what a decision comes to for a workload; the one value that admissions, replays, stores and reports share.

It says who it is about, who asked, what decided, what would follow and why, with the diff and what was looked at. It
holds nothing of a pod's containers, so no environment: of the pod, only the fields that a patch touches, and what
policies read. `of_decision.py` makes it of a Decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, Literal, NamedTuple, cast, get_args

from audit.difference import unified
from engine.bundle import Mode, Outcome
from engine.decision import PoolNames
from engine.placement import Operation
from engine.struct import Struct, field, replace

Json = Mapping[str, Any]

FindingOutcome = Literal["denied", "unschedulable", "failed", "changed", "unchanged"]
"""What becomes of the pods: they are refused; are let in, and find no node, for what policies ask; are let in without a
policy that could not be decided; are changed; or stay as they are."""
FINDING_OUTCOMES: tuple[FindingOutcome, ...] = get_args(FindingOutcome)
"""From what hurts most to what nobody notices."""

Consequence = Literal["noPool", "taint", "capacity", "unseen", "noNode", "leaves"]
CONSEQUENCES: tuple[Consequence, ...] = get_args(Consequence)
LOUD = ("applied", "denied", "overruled", "failed", "audited")
"""Outcomes of policies that had a say."""
API_VERSION, KIND = "bayplan.dev/v1alpha1", "Finding"


NO_POOLS = PoolNames()


class Workload(NamedTuple):
    """Whose pods they are: the workload as its author knows it, or the Pod itself where nobody owns it."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def title(self) -> str:
        """`Deployment shop/web`."""
        return f"{self.kind} {self.namespace}/{self.name}"

    def as_json(self) -> dict[str, str]:
        """As data: `apiVersion`, `kind`, `namespace`, `name`."""
        return {"apiVersion": self.api_version, "kind": self.kind, "namespace": self.namespace, "name": self.name}


class Asked(NamedTuple):
    """The request of an admission: its uid, what was asked for, and by whom."""

    uid: str
    operation: str
    dry_run: bool
    user: str
    groups: tuple[str, ...] = ()


class ReadRule(NamedTuple):
    """An entry of a policy that had a part: where it stands (`require[0]`), its text, and its author's message."""

    place: str
    text: str
    message: str = ""


class PolicyPart(NamedTuple):
    """What one policy did; `mode` is its own, and `rules` are the entries that had a part in it."""

    name: str
    mode: Mode
    outcome: Outcome
    message: str = ""
    error: str = ""
    rules: tuple[ReadRule, ...] = ()


class Input(NamedTuple):
    """Something that policies read, and what stood there; None where nothing did. `pools` are those that say it.

    `path` is written as in expressions: `pod.metadata.labels["app"]`, `pool.labels["tier"]`.
    """

    path: str
    value: object
    pools: tuple[str, ...] = ()


class Following(NamedTuple):
    """What would follow for the pods once they are let in, beside where they may run.

    `noPool`: no pool is left. `taint`: none but `pools`, of which they do not tolerate the `taints`. `capacity`: on no
    node of `pools` there is room for one. `unseen`: only nodes are left that nobody has declared or seen. `noNode`: a
    new node would have to come, for none that there is would do. `leaves`: so many `pods` run in `pools` now, where
    they might not be any more.
    """

    what: Consequence
    text: str
    pools: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    pods: int = 0


class Spread(NamedTuple):
    """How many of some pods count in which pool, '' for nodes of none: `now`, and `after` all of them were made again.
    Those that would wait or be refused are in none. Empty where nobody has estimated it."""

    now: Mapping[str, float] = {}
    after: Mapping[str, float] = {}


NOWHERE = Spread()


class Effect(Struct, frozen=True):
    """What becomes of pods and why: the outcome, its reason in a sentence, the policies with a part in it, the pools.

    `patch` is in RFC 6902; `before` are the fields that it touches, as they were.
    """

    outcome: FindingOutcome
    reason: str
    policies: tuple[PolicyPart, ...] = ()
    pools: PoolNames = NO_POOLS
    patch: tuple[Operation, ...] = ()
    before: Json = field(default_factory=dict)
    follows: tuple[Following, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def involved(self) -> tuple[str, ...]:
        """The names of the policies that did something, or would."""
        return tuple(one.name for one in self.policies if one.outcome in LOUD)

    @property
    def after(self) -> Json:
        """The fields that the patch touches, as it makes them."""
        return patched(self.before, self.patch)

    @property
    def diff(self) -> tuple[str, ...]:
        """The lines of a unified diff of these fields as YAML; none where nothing changes."""
        before, after = _in_order(self.before), _in_order(self.after)
        lines = unified(before, after, ("before", "after")) if self.patch else ()
        return tuple(line for line in lines if before or line != "-{}")

    def as_json(self, *, diff: bool = True) -> dict[str, Any]:
        """The effect as data; the diff can be left out, for it follows from `before` and `patch`."""
        pools = self.pools
        data: dict[str, Any] = {
            "outcome": self.outcome,
            "reason": self.reason,
            "policies": [_part_json(policy) for policy in self.policies],
            "pools": {
                "before": list(pools.before),
                "after": list(pools.after),
                "untolerated": list(pools.untolerated),
                "taints": dict(zip(pools.untolerated, map(list, pools.taints), strict=True)),
                "strayTaints": list(pools.stray_taints),
                "wouldStayPending": pools.waits,
                "unseen": pools.unseen,
            },
            "follows": [_following_json(one) for one in self.follows],
            "warnings": list(self.warnings),
            "patch": list(self.patch),
            "before": self.before,
        }
        return data | ({"diff": list(self.diff)} if diff else {})

    @staticmethod
    def from_json(data: Json) -> Effect:
        """The effect of its data. Raises KeyError, TypeError or ValueError for what is none."""
        pools = data["pools"]
        return Effect(
            _one_of(data["outcome"], FINDING_OUTCOMES),
            str(data["reason"]),
            tuple(map(_part, data["policies"])),
            PoolNames(
                tuple(pools["before"]),
                tuple(pools["after"]),
                tuple(pools["untolerated"]),
                tuple(tuple(pools["taints"][name]) for name in pools["untolerated"]),
                tuple(pools["strayTaints"]),
                bool(pools["wouldStayPending"]),
                str(pools["unseen"]),
            ),
            tuple(data["patch"]),
            dict(data["before"]),
            tuple(map(_following, data["follows"])),
            tuple(data["warnings"]),
        )


class Finding(Struct, frozen=True):
    """What a decision comes to for `pods` pods of one workload that fare alike.

    `effect` is what happens if all that decided is enforced, audited policies among it; `enforced` is what happens
    without these, None where there are none. In `mode` enforce that is done, in audit nothing is. `time` is RFC 3339;
    `bundle` its name, `revision` the whole of it, with digests. `asked` is who asked, None in a replay. `example` is
    the name of one of the pods, or what it is generated from. `template`: it is about the pods that a template would
    make, and `pods` are as many as it asks for, be it none. `requests` are one pod's, by resource: `cpu` in cores, all
    else in its unit. `placed` says of running pods how many are in which pool, '' for nodes of none.
    """

    workload: Workload
    effect: Effect
    mode: Mode
    bundle: str
    revision: str
    time: str
    cluster: str = ""
    pods: int = 1
    example: str = ""
    template: bool = False
    asked: Asked | None = None
    inputs: tuple[Input, ...] = ()
    requests: Mapping[str, int | float] = field(default_factory=dict)
    placed: Mapping[str, int] = field(default_factory=dict)
    enforced: Effect | None = None
    spread: Spread = NOWHERE

    @property
    def outcome(self) -> FindingOutcome:
        return self.effect.outcome

    @property
    def done(self) -> Effect | None:
        """What an admission did: None where it only audited."""
        return None if self.mode != "enforce" else self.enforced or self.effect

    @property
    def was_done(self) -> bool:
        """Whether all of it was done, to somebody's request."""
        return self.mode == "enforce" and self.asked is not None and self.enforced is None

    def as_json(self, *, diff: bool = True) -> dict[str, Any]:
        """The finding as data: keys may come, none will be renamed (docs/audit.md)."""
        asked = self.asked
        data: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "time": self.time,
            "cluster": self.cluster,
            "workload": self.workload.as_json(),
            "pods": self.pods,
            "example": self.example,
            "template": self.template,
            "asked": asked
            and {
                "uid": asked.uid,
                "operation": asked.operation,
                "dryRun": asked.dry_run,
                "user": asked.user,
                "groups": list(asked.groups),
            },
            "bundle": self.bundle,
            "revision": self.revision,
            "mode": self.mode,
        }
        data |= self.effect.as_json(diff=diff)
        data["inputs"] = [_input_json(one) for one in self.inputs]
        data["requests"] = dict(self.requests)
        data["placed"] = dict(self.placed)
        data["spread"] = {name: dict(pods) for name, pods in self.spread._asdict().items()}
        data["enforced"] = self.enforced and self.enforced.as_json(diff=diff)
        return data

    @staticmethod
    def from_json(data: Json) -> Finding:
        """The finding of its data. Raises ValueError for what is none."""
        try:
            return _finding(data)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no finding: {type(error).__name__} {error}") from error

    def with_pods(self, pods: int, placed: Mapping[str, int], spread: Spread = NOWHERE) -> Finding:
        """The same about so many pods."""
        return replace(self, pods=pods, placed=placed, spread=spread)


def gravest(outcomes: Iterable[FindingOutcome]) -> FindingOutcome:
    """The one of these that hurts most."""
    return min(outcomes, key=FINDING_OUTCOMES.index, default="unchanged")


def patched(before: Json, patch: Iterable[Operation]) -> dict[str, Any]:
    """The fields that a patch touches after its operations, as far as a decision's patches go: add and replace,
    and remove from maps."""
    after: Any = deepcopy(dict(before))
    for operation in patch:
        *way, last = [step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]]
        inside = after
        for step in way:
            inside = inside[int(step)] if isinstance(inside, list) else inside.setdefault(step, {})
        value = deepcopy(operation.get("value"))
        if operation["op"] == "remove":
            del inside[last]
        elif not isinstance(inside, list):
            inside[last] = value
        elif last == "-":
            inside.append(value)
        elif operation["op"] == "add":
            inside.insert(int(last), value)
        else:
            inside[int(last)] = value
    return cast("dict[str, Any]", after)


def _in_order(fields: Json) -> Json:
    """Maps of fields with their keys in order, down to those of the spec."""
    return {
        key: _in_order(value) if key in ("metadata", "spec", "template") else value
        for key, value in sorted(fields.items())
    }


def _finding(data: Json) -> Finding:
    if (data["apiVersion"], data["kind"]) != (API_VERSION, KIND):
        raise ValueError(f"this is no finding, for its kind is not {KIND} of {API_VERSION}")
    owner, asked = data["workload"], data["asked"]
    return Finding(
        Workload(str(owner["apiVersion"]), str(owner["kind"]), str(owner["namespace"]), str(owner["name"])),
        Effect.from_json(data),
        _one_of(data["mode"], get_args(Mode)),
        str(data["bundle"]),
        str(data["revision"]),
        str(data["time"]),
        str(data["cluster"]),
        int(data["pods"]),
        str(data["example"]),
        bool(data["template"]),
        asked and Asked(asked["uid"], asked["operation"], bool(asked["dryRun"]), asked["user"], tuple(asked["groups"])),
        tuple(Input(one["path"], one["value"], tuple(one.get("pools", ()))) for one in data["inputs"]),
        dict(data["requests"]),
        dict(data["placed"]),
        data["enforced"] and Effect.from_json(data["enforced"]),
        _spread(data.get("spread") or {}),
    )


def _spread(data: Json) -> Spread:
    both = (data.get(name) or {} for name in ("now", "after"))
    return Spread(
        *({str(pool): pods if isinstance(pods, int) else float(pods) for pool, pods in one.items()} for one in both)
    )


def _one_of(value: object, words: tuple[Any, ...]) -> Any:
    if value not in words:
        raise ValueError(f"`{value}` is none of {', '.join(words)}")
    return value


def _part_json(part: PolicyPart) -> dict[str, Any]:
    rules = [{"place": one.place, "text": one.text, "message": one.message} for one in part.rules]
    return {
        "name": part.name,
        "mode": part.mode,
        "outcome": part.outcome,
        "message": part.message,
        "error": part.error,
        "rules": rules,
    }


def _part(data: Json) -> PolicyPart:
    rules = tuple(ReadRule(one["place"], one["text"], one["message"]) for one in data["rules"])
    return PolicyPart(data["name"], data["mode"], data["outcome"], data["message"], data["error"], rules)


def _following_json(one: Following) -> dict[str, Any]:
    data: dict[str, Any] = {"what": one.what, "text": one.text, "pools": list(one.pools), "taints": list(one.taints)}
    return data | ({"pods": one.pods} if one.pods else {})


def _following(data: Json) -> Following:
    what = _one_of(data["what"], CONSEQUENCES)
    return Following(what, data["text"], tuple(data["pools"]), tuple(data["taints"]), int(data.get("pods", 0)))


def _input_json(one: Input) -> dict[str, Any]:
    return {"path": one.path, "value": one.value} | ({"pools": list(one.pools)} if one.pools else {})
