"""AdmissionReview v1: what the API server sends and what it gets back, as typed values.

A review is decoded once, by a compiled decoder; the pod stays what it is to the engine, plain JSON. Whatever is not as
it should be raises RequestError with the path of the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from engine.documents import RequestError, printable
from engine.pods import IncomingPod, pod_of_daemon_set, with_quantities_as_text
from engine.struct import replace
from webhook.shape import Pod

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
MAX_VALUES = 100_000
"""Values of a pod that is read, about: commas and opening brackets. A pod of 1,000 containers has 10,000; to read a
million takes a quarter of a second."""
MAX_WARNING = 256
"""Characters: beyond, the API server cuts a warning as soon as all of a response together exceed 4,096."""
MAX_WARNINGS = 4000
"""Characters of all warnings of one response together."""
MAX_ANNOTATION = 2000
"""Characters of one audit annotation."""


class Resource(Struct, frozen=True, rename="camel"):
    """The resource that is being asked for, as in `rules` of a webhook configuration."""

    resource: str
    group: str = ""
    version: str = ""


class _Asked(Struct, frozen=True, rename="camel", kw_only=True):
    """What a request says beside its objects. Fields that are not read are not decoded."""

    uid: str
    operation: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    sub_resource: str = ""
    dry_run: bool | None = None
    user_info: dict[str, Any] = {}


class Request(_Asked, frozen=True, rename="camel", kw_only=True):
    """The request of a review. `object` is the pod, or the DaemonSet, as JSON, and `old_object` what it was before."""

    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None


class OutlinedRequest(Request, frozen=True, kw_only=True):
    """The request for a pod that is not read, and `why`: nothing is in `object` but its name and that of its node; of a
    DaemonSet its name, and a template without anything."""

    why: str


class _Sent(_Asked, frozen=True, rename="camel", kw_only=True):
    """A request whose objects, and who asks, are still as they were sent."""

    user_info: Raw = Raw(b"{}")  # type: ignore[assignment]
    object: Raw = Raw(b"null")
    old_object: Raw = Raw(b"null")


class _Versioned(Struct, frozen=True, rename="camel", kw_only=True):
    api_version: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET


class _Review(_Versioned, frozen=True):
    request: Request | None = None


class _SentReview(_Versioned, frozen=True):
    request: _Sent | None = None


class _OutlineMetadata(Struct, frozen=True, omit_defaults=True, rename="camel"):
    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None


class _OutlineSpec(Struct, frozen=True, omit_defaults=True, rename="camel"):
    node_name: str | None = None


class _Outline(Struct, frozen=True):
    """What is read of a pod that has too many values."""

    metadata: _OutlineMetadata
    spec: _OutlineSpec


class _Templated(Struct, frozen=True):
    template: Raw = Raw(b"null")


class _WorkloadOutline(Struct, frozen=True, rename="camel"):
    """What is read of a DaemonSet that has too many values: of its template, whether it is another one than before."""

    metadata: _OutlineMetadata
    api_version: str = ""
    kind: str = ""
    spec: _Templated = _Templated()


class Status(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Why a request is refused: HTTP code, a reason of the API's own words, and the sentence that `kubectl` prints."""

    message: str
    code: int
    reason: str


class Response(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The answer. `patch` is the JSON text of the operations; on the wire it is base64."""

    uid: str
    allowed: bool
    status: Status | UnsetType = UNSET
    patch_type: str | UnsetType = UNSET
    patch: bytes | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET
    audit_annotations: dict[str, str] | UnsetType = UNSET


class _Answer(Struct, frozen=True, rename="camel"):
    response: Response
    api_version: str = API_VERSION
    kind: str = KIND


_decoder = msgspec.json.Decoder(_Review)
_sent_decoder = msgspec.json.Decoder(_SentReview)
_object_decoder = msgspec.json.Decoder(dict[str, Any] | None)
_workload_decoder = msgspec.json.Decoder(_WorkloadOutline)
_outline_decoder = msgspec.json.Decoder(_Outline)
_encoder = msgspec.json.Encoder()


def decode(body: bytes | bytearray) -> Request:
    """The request of a review, with the places checked that the webhook itself reads."""
    large = len(body) > 2 * MAX_VALUES and _commas(body) > MAX_VALUES
    review: _Review | _SentReview
    try:
        review = _sent_decoder.decode(body) if large else _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _at_field(error, "") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("", f"the body is not JSON: {error}") from None
    _expect("apiVersion", review.api_version, API_VERSION)
    _expect("kind", review.kind, KIND)
    if review.request is None:
        raise RequestError("request", "is missing")
    if not review.request.uid:
        raise RequestError("request.uid", "is empty")
    return review.request if isinstance(review.request, Request) else _opened(review.request)


def _opened(sent: _Sent) -> Request:
    """A large request with what is read of its objects: of one to decide about, with too many values, an outline; of
    others that have too many, nothing."""
    asked = {field: getattr(sent, field) for field in _Asked.__struct_fields__}
    asked["user_info"] = _user(sent)
    many, many_before = (_too_many(bytes(each)) for each in (sent.object, sent.old_object))
    if many and creates_pod(sent):
        outline = msgspec.to_builtins(_decoded(_outline_decoder, sent.object, "object"))
        return OutlinedRequest(**asked, object=outline, why=_unread("the pod"))
    if many and _is_daemon_set(sent):
        changed = _decoded(_workload_decoder, sent.object, "object")
        if sent.operation == "UPDATE" and changed.spec == _before(sent).spec:
            return Request(**asked)  # as its controller writes each status: nothing is to be decided
        return OutlinedRequest(**asked, object=_outlined(changed), why=_unread("the DaemonSet"))
    new = None if many else _decoded(_object_decoder, sent.object, "object")
    old = None if many_before else _decoded(_object_decoder, sent.old_object, "oldObject")
    return Request(**asked, object=new, old_object=old)


def _user(sent: _Sent) -> dict[str, Any]:
    """Who asks."""
    if _too_many(bytes(sent.user_info)):
        raise RequestError("request.userInfo", f"has more than {MAX_VALUES:,} values")
    return _decoded(_object_decoder, sent.user_info, "userInfo") or {}


def _unread(what: str) -> str:
    return f"{what} has more than {MAX_VALUES:,} values and is not read, for that alone would take too long"


def _before(sent: _Sent) -> _WorkloadOutline:
    """The DaemonSet as it was; one that says nothing where there is none."""
    nothing = _WorkloadOutline(_OutlineMetadata())
    return nothing if sent.old_object == Raw(b"null") else _decoded(_workload_decoder, sent.old_object, "oldObject")


def _outlined(workload: _WorkloadOutline) -> dict[str, Any]:
    """A DaemonSet of which no more is known than that it is one, and its name."""
    typed = {"apiVersion": workload.api_version, "kind": workload.kind}
    template: dict[str, Any] = {"metadata": {}, "spec": {"containers": [{"name": "unread", "image": "unread"}]}}
    return {**typed, "metadata": msgspec.to_builtins(workload.metadata), "spec": {"template": template}}


def _decoded(decoder: msgspec.json.Decoder[Any], given: Raw, field: str) -> Any:
    try:
        return decoder.decode(given)
    except msgspec.ValidationError as error:
        raise _at_field(error, f"request.{field}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("", f"the body is not JSON: {error}") from None


def _too_many(text: bytes) -> bool:
    """Whether an object has more than MAX_VALUES values. What is within texts is none: they are taken out first."""
    text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.count(b'"') > 4 * MAX_VALUES or _commas(b"".join(text.split(b'"')[::2])) > MAX_VALUES


def _commas(text: bytes | bytearray) -> int:
    return sum(map(text.count, (b",", b"{", b"[")))


def creates_pod(request: _Asked) -> bool:
    """Whether the request creates a pod; everything else is allowed as it is."""
    resource = request.resource
    return (
        request.operation == "CREATE"
        and resource.resource == "pods"
        and resource.group == ""
        and request.sub_resource == ""
    )


def writes_daemon_set(request: Request) -> bool:
    """Whether the request creates a DaemonSet, or changes the template of one."""
    if not _is_daemon_set(request):
        return False
    return request.operation == "CREATE" or (
        request.operation == "UPDATE" and _template(request.object) != _template(request.old_object)
    )


def _is_daemon_set(request: _Asked) -> bool:
    resource = request.resource
    return (resource.group, resource.resource, request.sub_resource) == ("apps", "daemonsets", "")


def _template(workload: Mapping[str, Any] | None) -> object:
    spec = (workload or {}).get("spec")
    return spec.get("template") if isinstance(spec, dict) else None


def encode(response: Response) -> bytes:
    """The review that carries a response."""
    return _encoder.encode(_Answer(response))


def encode_json(value: object) -> bytes:
    """Any plain value as compact JSON."""
    return _encoder.encode(value)


def warnings(texts: Iterable[str]) -> list[str]:
    """Warnings that the API server delivers: it drops those with control characters, and cuts what is too much."""
    lines = dict.fromkeys(printable(" ".join(_CONTROL.sub(" ", text).split())) for text in texts)
    short = [line if len(line) <= MAX_WARNING else line[: MAX_WARNING - 1] + "…" for line in lines if line]
    kept: list[str] = []
    room = MAX_WARNINGS
    for line in short:
        room -= len(line)
        if room < 0:
            break
        kept.append(line)
    return kept


def annotation(text: str) -> str:
    """The value of an audit annotation: at most 2,000 characters, all of which show."""
    text = printable(text)
    return text if len(text) <= MAX_ANNOTATION else text[: MAX_ANNOTATION - 1] + "…"


def failure(code: int, reason: str, error: RequestError) -> bytes:
    """The body of an answer that is no review: a Status as the API server would write it."""
    causes = [{"field": error.path, "message": error.message}] if error.path else []
    status: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": printable(str(error)),
        "details": {"causes": causes},
    }
    return _encoder.encode(status)


def pod_of(request: Request) -> dict[str, Any]:
    """The pod of a request that creates one, with the types checked of all that the engine takes for granted.

    Quantities are text, as the API server writes them, also where somebody else's JSON says them as numbers.
    """
    pod = request.object
    if pod is not None and isinstance(request, OutlinedRequest):
        return _with_namespace(request, pod, pod["metadata"].get("namespace"))
    if pod is None:
        raise RequestError("request.object", "is missing")
    try:
        shape = msgspec.convert(pod, Pod)
    except msgspec.ValidationError:
        pod = with_quantities_as_text(pod)
        try:
            shape = msgspec.convert(pod, Pod)
        except msgspec.ValidationError as error:
            raise _at_field(error, "request.object") from None
    if shape.kind is not UNSET and shape.kind != "Pod":
        raise RequestError("request.object.kind", f"expected `Pod`, got `{_short(shape.kind)}`")
    return _with_namespace(request, pod, shape.metadata.namespace)


def _with_namespace(request: Request, pod: dict[str, Any], own: str | None) -> dict[str, Any]:
    if not request.namespace and not own:
        raise RequestError("request.namespace", "is missing")
    return pod


def daemon_set_of(request: Request) -> dict[str, Any]:
    """The DaemonSet of a request that writes one."""
    if request.object is None:
        raise RequestError("request.object", "is missing")
    if not request.namespace:
        raise RequestError("request.namespace", "is missing")
    return request.object


def template_in(
    workload: Mapping[str, Any], namespace: Mapping[str, Any], request: Request, unknown: str
) -> IncomingPod:
    """The pod that stands for those of a DaemonSet that is being written."""
    try:
        incoming = pod_of_daemon_set(workload, namespace, dry_run=request.dry_run is True, unknown=unknown)
    except RequestError as error:
        raise RequestError(f"request.object.{error.path}", error.message) from None
    return replace(incoming, unread=request.why) if isinstance(request, OutlinedRequest) else incoming


def request_of(request: Request, namespace: str) -> Mapping[str, Any]:
    """What an expression may read of the request, as `request`."""
    return {
        "operation": request.operation,
        "namespace": namespace,
        "dryRun": request.dry_run is True,
        "userInfo": request.user_info,
    }


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]*)`$")
_EXPECTED = re.compile(r"^Expected ")


def _expect(path: str, value: str | UnsetType, wanted: str) -> None:
    if value is UNSET:
        raise RequestError(path, f"is missing, expected `{wanted}`")
    if value != wanted:
        raise RequestError(path, f"expected `{wanted}`, got `{_short(str(value))}`")


def _short(text: str) -> str:
    shown = printable(_CONTROL.sub(" ", text))
    return shown if len(shown) <= 64 else shown[:63] + "…"


def _at_field(error: msgspec.ValidationError, root: str) -> RequestError:
    """A decoder's complaint as ours: the path without its `$`, the sentence in lower case."""
    match = _PLACE.match(str(error))
    what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
    path = (root + path.removeprefix("$")).lstrip(".")
    if missing := _MISSING.match(what):
        return RequestError(f"{path}.{missing['field']}".lstrip("."), "is missing")
    sentence = _EXPECTED.sub("expected ", what)
    return RequestError(path, sentence if path else f"the body is not an AdmissionReview: {sentence}")
