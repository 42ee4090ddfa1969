"""What an expression is to the API server, over a real pod: its value, that it fails, or that it is refused.

Every expression becomes a variable of a ValidatingAdmissionPolicy, and a validation that looks at it only when the
pod's name asks for it: a dry run of a pod by that name then brings its value in the refusal's message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.documents import Excerpt
from engine.language import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    STRING,
    UINT,
    Budget,
    CelError,
    Node,
    Type,
    check,
    compile_expression,
    parse,
)
from engine.language.types import DURATION, TIMESTAMP
from engine.program import NAMESPACE, POD, REQUEST

from .controlplane import ApiError, ControlPlane, Json, wait_for

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{REGISTRATION}/validatingadmissionpolicies", f"{REGISTRATION}/validatingadmissionpolicybindings"
POLICY_SIZE = 40
ROOTS: Mapping[str, Type] = {"object": POD, "request": REQUEST, "namespaceObject": NAMESPACE}
BEYOND = "not-in-kubernetes"
PRINTABLE = frozenset((BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION))
BUDGET = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """`kind` is `value`, `error` or `refused`; `text` the value as CEL prints it, or what was said of the failure."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def checked(expression: str) -> tuple[Node | None, str]:
    """The typed tree, or what is wrong with it: rule and message. What Kubernetes does not offer is wrong here."""
    excerpt = Excerpt.of(expression)
    node, problems = parse(excerpt)
    if node is not None:
        node, problems = check(node, excerpt, ROOTS)
    wrong = [problem for problem in problems if problem.severity == "error" or problem.rule == BEYOND]
    return (None if wrong else node), "; ".join(f"{problem.rule}: {problem.message}" for problem in wrong)


def ours(expression: str, values: Mapping[str, Json]) -> Outcome:
    """What the engine makes of an expression over the values of `ROOTS`."""
    node, wrong = checked(expression)
    if node is None:
        return Outcome("refused", wrong)
    shown, wrong = checked(_printed(f"({expression}\n)", node.type))
    assert shown is not None, f"{expression}: {wrong}"
    try:
        return Outcome("value", str(compile_expression(shown, tuple(values))(Budget(BUDGET), *values.values())))
    except CelError as error:
        return Outcome("error", str(error))


def refusal(cluster: ControlPlane, expression: str) -> str:
    """Why the API server does not accept a policy with the expression; empty if it does."""
    try:
        cluster.api("POST", POLICIES, _policy("refused", "true", [expression], []), dryRun="All")
    except ApiError as error:
        said = error.message
        for mark in ("compilation failed: ", "program instantiation failed: "):
            said = said.rpartition(mark)[2]
        return re.sub(r"\s+", " ", said)
    return ""


def theirs(cluster: ControlPlane, namespace: str, pod: Json, expressions: Sequence[str]) -> list[Outcome]:
    """What the API server makes of each expression, all of which it accepts, over a pod."""
    batches = [expressions[at : at + POLICY_SIZE] for at in range(0, len(expressions), POLICY_SIZE)]
    found: list[Outcome] = []
    try:
        for number, batch in enumerate(batches):
            validations = [_asked(f"ask-{number}-{i}", i, text) for i, text in enumerate(batch)]
            asked = f'object.metadata.name.startsWith("ask-{number}-")'
            cluster.api("POST", POLICIES, _policy(f"expressions-{number}", asked, batch, validations))
            cluster.api("POST", BINDINGS, _binding(f"expressions-{number}", namespace))
        for number, batch in enumerate(batches):
            names = [f"ask-{number}-{i}" for i in range(len(batch))]
            wait_for(lambda name=names[0]: _answer(cluster, namespace, pod, name), f"the policy of {names[0]}")  # type: ignore[misc]
            found += [_answer(cluster, namespace, pod, name) or Outcome("nothing", "") for name in names]
    finally:
        for number in range(len(batches)):
            cluster.request("DELETE", f"{BINDINGS}/expressions-{number}")
            cluster.request("DELETE", f"{POLICIES}/expressions-{number}")
    return found


def _answer(cluster: ControlPlane, namespace: str, pod: Json, name: str) -> Outcome | None:
    asking = {**pod, "metadata": {**pod["metadata"], "name": name}}
    try:
        cluster.create_pod(namespace, asking, dry_run=True)
    except ApiError as error:
        if found := re.search(r'VALUE<(".*")>', error.message):
            return Outcome("value", found[1])
        return Outcome("error", error.message.rpartition("resulted in error: ")[2].rpartition("to evaluate: ")[2])
    return None


def _printed(expression: str, type_: Type) -> str:
    """An expression for another's value as one line of text."""
    return (
        f"strings.quote(string({expression}))" if type_ in PRINTABLE else f'strings.quote("%s".format([{expression}]))'
    )


def _asked(pod: str, number: int, expression: str) -> Json:
    node, _ = checked(expression)
    shown = _printed(f"variables.v{number}", node.type if node else DYN)
    # no string has a negative size: a value refuses the pod, and says itself
    condition = f'object.metadata.name != "{pod}" || {shown}.size() < 0'
    return {"expression": condition, "messageExpression": f'"VALUE<" + {shown} + ">"'}


def _policy(name: str, asked: str, expressions: Sequence[str], validations: Sequence[Json]) -> Json:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "matchConditions": [{"name": "asked", "expression": asked}],
            "variables": [{"name": f"v{i}", "expression": text} for i, text in enumerate(expressions)],
            "validations": list(validations) or [{"expression": "true"}],
        },
    }


def _binding(name: str, namespace: str) -> Json:
    only = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": only}},
    }
