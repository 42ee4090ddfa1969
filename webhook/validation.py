"""Validation: `kubectl apply` of a wrong policy is refused with what `bayplan check` says of it.

Only what an object says by itself is judged, against its Bundle's constants; what becomes of all together is told on
the objects afterwards. It is done in a thread, one object at a time: pods do not wait for the authors of policies.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from cluster import MAX_SPEC
from delivery import judged
from engine.bundle import BUNDLE_LABEL, POLICIES, RESOURCES
from engine.documents import API_VERSION, Problem, RequestError, printable_lines
from webhook import review
from webhook.admission import Answer
from webhook.turns import Runs, at_once

MAX_WAITING = 32
"""Objects that wait to be judged; of more, the API server is told to do without."""
MAX_MESSAGE = 8192
"""Characters of a refusal."""
OURS = f"{API_VERSION.partition('/')[0]}/"
_KINDS = {resource.plural: resource.kind for resource in RESOURCES}
Json = dict[str, Any]

log = logging.getLogger("bayplan.admission")


class Validation:
    """Answers reviews of PlacementPolicies and Bundles. `bundle` is the Bundle of a name, where it is followed."""

    def __init__(self, bundle: Callable[[str], Mapping[str, Any] | None]) -> None:
        self._bundle = bundle
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def answer(self, body: bytes | bytearray, run: Runs = at_once) -> Answer:
        """Answer one review, which is read by `run`."""
        try:
            request, thing = await run(partial(_read, body))
        except RequestError as error:
            return Answer(400, review.failure(400, "BadRequest", error))
        if thing is None:
            return Answer(200, review.encode(review.Response(request.uid, allowed=True)))
        if self._waiting >= MAX_WAITING:
            return Answer(503, review.failure(503, "ServiceUnavailable", RequestError("", "too many objects wait")))
        self._waiting += 1
        try:
            async with self._turn:
                response = await asyncio.to_thread(self._judge, request, thing)
        except Exception:
            log.exception("bug while judging an object, please report it; it is let through (request %s)", request.uid)
            said = f"bayplan could not judge this object and let it through (request {request.uid})"
            response = review.Response(request.uid, allowed=True, warnings=review.warnings([said]))
        finally:
            self._waiting -= 1
        return Answer(200, review.encode(response))

    def _judge(self, request: review.Request, thing: Json) -> review.Response:
        bundle = None
        warnings = []
        if thing["kind"] == POLICIES.kind:
            name = thing["metadata"]["labels"].get(BUNDLE_LABEL, "")
            bundle = self._bundle(name) if name else None
            if not name:
                warnings.append(f"the label {BUNDLE_LABEL} says of which bundle a policy is: without, it is of none")
            elif bundle is None:
                warnings.append(f"Bundle {name} is not followed here, or not there yet: expressions were not checked")
        problems = judged(thing, bundle)
        errors = [problem for problem in problems if problem.severity == "error"]
        warnings += [f"{each.span}: {each.message} [{each.rule}]" for each in problems if each.severity == "warning"]
        more: Json = {"status": review.Status(_told(errors), 422, "Invalid")} if errors else {}
        if told := review.warnings(warnings):
            more["warnings"] = told
        return review.Response(request.uid, allowed=not errors, **more)


def _read(body: bytes | bytearray) -> tuple[review.Request, Json | None]:
    request = review.decode(body)
    return request, _thing(request)


def _thing(request: review.Request) -> Json | None:
    """The object of a request, as sources of objects have it; None where there is nothing to judge."""
    resource = request.resource
    kind = _KINDS.get(resource.resource) if resource.group + "/" == OURS and not request.sub_resource else None
    if kind is None or request.operation not in ("CREATE", "UPDATE"):
        return None
    if request.object is None:
        raise RequestError("request.object", "is missing")
    new, old = _parts(request.object, "object", kind), request.old_object
    if old is not None and request.operation == "UPDATE" and _parts(old, "oldObject", kind) == new:
        return None  # what is there can be labelled and taken down, however wrong it is
    return new


def _parts(whole: Mapping[str, Any], field: str, kind: str) -> Json:
    """What is read of an object: its name, the label of its bundle, annotations of ours, and its spec as JSON."""
    metadata = whole.get("metadata") or {}
    texts = {}
    for each in ("labels", "annotations"):
        said = metadata.get(each) or {} if isinstance(metadata, dict) else None
        if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
            raise RequestError(f"request.{field}.metadata.{each}", "expected texts by name")
        texts[each] = {key: value for key, value in said.items() if key.startswith(OURS)}
    if not isinstance(metadata.get("name"), str):
        raise RequestError(f"request.{field}.metadata.name", "is missing")
    named = {"name": metadata["name"], "uid": "", "generation": 0, **texts}
    spec = json.dumps(whole.get("spec"), separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    size = len(spec) + sum(len(key) + len(text.encode()) for key, text in texts["annotations"].items())
    return {"kind": kind, "metadata": named, "spec": spec if size <= MAX_SPEC else size}


def _told(errors: Sequence[Problem]) -> str:
    """All that is wrong, as `check` prints it, from the start of a line."""
    text = printable_lines("\n".join(["", *map(str, errors)]))
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 2]} …"
