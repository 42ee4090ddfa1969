"""From the body of a request to the body of an answer: the webhook without HTTP.

Whatever happens, the API server gets an answer that it understands. A request that can't be read is its sender's fault
and gets a 400 with the field; a pod that a policy refuses gets a review that says so; a bug is logged with its
traceback and answered as the failure policy says.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, Literal, Protocol

from msgspec import UNSET

from cluster import LookupFailedError
from engine.bundle import FailurePolicy
from engine.decision import Decision, outcome_of
from engine.documents import RequestError, printable_lines
from engine.pods import IncomingPod, named, without_environment
from engine.struct import Marked, Struct, replace
from telemetry import DecisionLog, Metrics, bounded, now
from webhook import review
from webhook.turns import Runs, at_once

LogDecisions = Literal["changed", "all", "none"]
OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
SHORT = ("pod", "template", "revision", "mode", "allowed", "message", "warnings")

log = logging.getLogger("bayplan.admission")


class Decides(Protocol):
    """What answers for a pod: a Decider of the engine."""

    def decide(self, incoming: IncomingPod) -> Decision: ...


class Active(Protocol):
    """Where the decider comes from; None as long as nothing is active."""

    @property
    def decider(self) -> Decides | None: ...


class Watches(Protocol):
    """Who is told of each decision once it is answered; it never waits."""

    def offer(self, uid: str, dry_run: bool, decision: Decision, size: int) -> None:
        """`size` are the bytes of the review."""


class Keeps(Protocol):
    """Who keeps each decision once it is answered; it never waits."""

    def offer(self, decision: Decision, decider: object, size: int) -> None:
        """`decider` made it, `size` are the bytes of the review."""


class Namespaces(Protocol):
    """Where Namespace objects come from."""

    def get(self, name: str) -> Mapping[str, Any] | None:
        """The Namespace from memory, or None."""

    def find(self, name: str) -> Future[dict[str, Any]]:
        """The Namespace from the API server, or LookupFailedError; nobody may cancel it."""


class Answer(Struct, frozen=True):
    """An HTTP answer: status and JSON body."""

    status: int
    body: bytes


class Admission(Marked, frozen=True):
    """All that answering takes. `namespaces` is None where no cluster is watched: of none more than its name is known.

    `lookup_seconds` is how long a request waits for a Namespace that a watch does not know.
    """

    unprinted = ("decisions", "watchers", "store")

    active: Active
    metrics: Metrics
    namespaces: Namespaces | None = None
    failure_policy: FailurePolicy = "Ignore"
    decisions: DecisionLog | None = None
    log_decisions: LogDecisions = "changed"
    lookup_seconds: float = 1.5
    watchers: tuple[Watches, ...] = ()
    store: Keeps | None = None

    async def answer(self, body: bytes | bytearray, run: Runs = at_once) -> Answer:
        """Answer one review. Reading and deciding it are done by `run`, in pieces."""
        started = time.perf_counter()
        operation = "unknown"
        try:
            request, whole = await run(partial(_read, body))
            operation = request.operation if request.operation in OPERATIONS else "unknown"
            answer, outcome = await self._answer(request, whole, started, len(body), run)
        except RequestError as error:
            answer, outcome = Answer(400, review.failure(400, "BadRequest", error)), "invalid"
        self.metrics.admission(operation, outcome, time.perf_counter() - started)
        return answer

    async def _answer(
        self, request: review.Request, whole: _Whole, started: float, size: int, run: Runs
    ) -> tuple[Answer, str]:
        if whole is None:
            return _as_it_is(request)
        if isinstance(whole, RequestError):
            raise whole
        decider = self.active.decider
        if decider is None:
            error = RequestError("", "no bundle and inventory are active yet")
            return Answer(503, review.failure(503, "ServiceUnavailable", error)), "error"
        name = request.namespace or str(whole["metadata"]["namespace"])
        namespace, unknown = await self._namespace(name)
        if review.creates_pod(request):
            asked = review.request_of(request, name)
            unread = request.why if isinstance(request, review.OutlinedRequest) else ""
            incoming = IncomingPod(whole, namespace, asked, None, request.uid, unknown, None, unread)
        else:
            incoming = await run(partial(review.template_in, whole, namespace, request, unknown))
        answer, outcome, decision = await run(partial(self._decided, request, decider, incoming, started))
        if decision is None:
            return answer, outcome
        self._count(decision)
        if self.store is not None:
            self.store.offer(decision, decider, size)
        for watcher in self.watchers:
            watcher.offer(request.uid, request.dry_run is True, decision, size)
        return answer, outcome if decision.mode != "audit" else "audit"

    def _decided(
        self, request: review.Request, decider: Decides, incoming: IncomingPod, started: float
    ) -> tuple[Answer, str, Decision | None]:
        """The answer, its outcome, and the decision where there is one to tell of; in any thread."""
        try:
            decision = decider.decide(incoming)
            if decision.incoming.template is None and not review.creates_pod(request):
                return *_as_it_is(request), None
            outcome = outcome_of(decision)
            answer = Answer(200, review.encode(respond(request.uid, decision, outcome)))
            known = not incoming.namespace_unknown
            self._record(request, decision, outcome, known, time.perf_counter() - started)
        except Exception as error:
            bug = error
        else:
            return answer, outcome, decision
        # outside of the handler, for a traceback quotes whatever exception was being handled
        return self._failed(request, decider, incoming, bug), "error", None

    async def _namespace(self, name: str) -> tuple[Mapping[str, Any], str]:
        """The Namespace and nothing; or what its name says, and why nothing else is known."""
        if self.namespaces is None:
            return named(name), f"Namespace {name} is not known, for no cluster is watched"
        known = self.namespaces.get(name)
        if known is not None:
            return known, ""
        try:
            found = asyncio.wrap_future(self.namespaces.find(name))
            return await asyncio.wait_for(found, self.lookup_seconds), ""
        except LookupFailedError as failure:
            reason = str(failure)
        except TimeoutError:
            reason = "no answer in time"
        return named(name), f"Namespace {name} could not be read ({reason}); try again"

    def _count(self, decision: Decision) -> None:
        """Count what became of the pod and of each policy, and what would have."""
        for policy in decision.policies:
            if policy.outcome != "notMatched":
                bundle = decision.revision.of(policy.name).name
                self.metrics.evaluation(bundle, policy.name, decision.mode, policy.outcome)
        if decision.mode == "enforce" and decision.allowed and _bars(decision):
            self.metrics.unschedulable()
        would = _kept_from(decision)
        if would is None:
            return
        outcome = outcome_of(would)
        self.metrics.audited("unschedulable" if outcome == "mutated" and _bars(would) else outcome)
        done = {policy.name: policy.outcome for policy in decision.policies} if decision.mode == "enforce" else {}
        for policy in would.policies:
            if policy.outcome not in ("notMatched", "off", done.get(policy.name)):
                bundle = decision.revision.of(policy.name).name
                self.metrics.audited_policy(bundle, policy.name, policy.outcome)

    def _record(
        self, request: review.Request, decision: Decision, outcome: str, namespace_known: bool, seconds: float
    ) -> None:
        """Log the decision, if it is one of those that are to be logged or a policy failed in it."""
        failed = any(policy.outcome == "failed" for policy in decision.policies)
        if self.decisions is None or (self.log_decisions == "none" and not failed):
            return
        whole = decision.mode == "audit" or self.log_decisions == "all" or decision.audited is not None
        if not whole and outcome == "unchanged" and not decision.warnings and not failed:
            return
        data = decision.as_json()
        line: dict[str, object] = {
            "time": now(),
            "uid": request.uid,
            "dryRun": request.dry_run is True,
            "namespaceKnown": namespace_known,
            "latencySeconds": round(seconds, 6),
        }
        if whole:
            line |= data
        else:
            line |= {key: data[key] for key in SHORT if key in data}
            line["policies"] = [p for p in data["policies"] if p["outcome"] != "notMatched"]
        self.decisions.write(bounded(line, review.encode_json))

    def _failed(self, request: review.Request, decider: Decides, incoming: IncomingPod, error: Exception) -> Answer:
        """Answer for a bug. The log gets the traceback, but never what the pod's environment holds."""
        log.error(
            "bug while deciding request %s: please report it\n%s", request.uid, _traceback(decider, incoming, error)
        )
        if self.failure_policy == "Ignore":
            warning = f"bayplan could not decide about this pod and left it as it is (request {request.uid})"
            response = review.Response(request.uid, allowed=True, warnings=review.warnings([warning]))
        else:
            message = f"bayplan could not decide about this pod; its log says why under request {request.uid}"
            status = review.Status(message, 500, "InternalError")
            response = review.Response(request.uid, allowed=False, status=status)
        return Answer(200, review.encode(response))


_Whole = dict[str, Any] | RequestError | None


def _read(body: bytes | bytearray) -> tuple[review.Request, _Whole]:
    """A request, and the pod or DaemonSet to decide about, or what is wrong with it; None where there is none."""
    request = review.decode(body)
    try:
        if review.creates_pod(request):
            return request, review.pod_of(request)
        return request, review.daemon_set_of(request) if review.writes_daemon_set(request) else None
    except RequestError as error:
        return request, error


def _kept_from(decision: Decision) -> Decision | None:
    """What audit mode kept from happening, the bundle's or that of single policies; None where it kept nothing."""
    return decision.audited or (decision if decision.mode == "audit" else None)


def _bars(decision: Decision) -> bool:
    """Whether a pod is placed where taints bar it, and nowhere else."""
    return decision.pools.waits and bool(decision.placement_patch)


def _as_it_is(request: review.Request) -> tuple[Answer, str]:
    """The answer where there is nothing to decide."""
    return Answer(200, review.encode(review.Response(request.uid, allowed=True))), "ignored"


def respond(uid: str, decision: Decision, outcome: str) -> review.Response:
    """The decision as an answer. Audit mode allows, patches nothing and warns nobody; annotations say what would be."""
    refused = decision.refused
    patch = decision.answer_patch
    texts = review.warnings(decision.warnings) if decision.mode == "enforce" and decision.warnings else ()
    return review.Response(
        uid,
        allowed=not refused,
        status=review.Status(printable_lines(decision.message), 403, "Forbidden") if refused else UNSET,
        patch_type="JSONPatch" if patch else UNSET,
        patch=review.encode_json(patch) if patch else UNSET,
        warnings=list(texts) if texts else UNSET,
        audit_annotations=audit_annotations(decision, outcome),
    )


def audit_annotations(decision: Decision, outcome: str) -> dict[str, str]:
    """What the API server's audit log keeps of a decision, each under `<webhook's name>/<key>`.

    `patch` and `message` are there only for what audit mode kept from happening.
    """
    said = [f"{policy.name}={policy.outcome}" for policy in decision.policies if policy.outcome != "notMatched"]
    kept = {
        "revision": str(decision.revision),
        "mode": decision.mode,
        "outcome": outcome,
        "policies": review.annotation(",".join(said)),
    }
    would = _kept_from(decision)
    if would is not None and would.patch:
        kept["patch"] = review.annotation(review.encode_json(would.patch).decode())
    if would is not None and not would.allowed:
        kept["message"] = review.annotation(would.message)
    return kept


def _traceback(decider: Decides, incoming: IncomingPod, error: Exception) -> str:
    """The traceback of the same bug on the pod without its environment: no value of it can be in there.

    Where the bug does not show then, only place and type are logged, for an exception's text may quote anything.
    """
    template = None if incoming.template is None else without_environment(incoming.template)
    clean = replace(incoming, pod=without_environment(incoming.pod), template=template)
    try:
        decision = decider.decide(clean)
        review.encode(respond("", decision, outcome_of(decision)))
    except Exception as again:
        return "".join(traceback.format_exception(again)).rstrip()
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{frames}{type(error).__name__}: (text withheld)"
