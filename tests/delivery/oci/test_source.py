"""delivery.oci.source: bundles from real registries, and from somebody between us and them."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from delivery.credentials import read_credentials
from delivery.oci import registry as api
from delivery.oci.artifact import ATTESTATION, INDEX, LAYER, MANIFEST, attestation_manifest, described, index
from delivery.oci.publish import attach
from delivery.oci.reference import Reference, referrers_tag
from delivery.oci.registry import Admission
from delivery.oci.source import MAX_ATTESTATIONS
from tests.e2e.certificates import Authority, make_authority

from .artifacts import NOBODY, archive, manifest_of, published, put_manifest
from .conftest import fails, source_of
from .registries import ELSEWHERE, USER, Between, Handler, Registry, TokenServer, Tunnel, let_in

BetweenOf = Callable[[str], Between]
Fault = Callable[[Handler], bool]


@pytest.fixture(params=["without referrers", "with referrers"])
def registry(request: pytest.FixtureRequest, open_registry: Registry, referring_registry: Registry) -> Registry:
    """Each of the two."""
    return open_registry if request.param == "without referrers" else referring_registry


def test_what_was_pushed_is_what_there_is(registry: Registry, repository: str) -> None:
    reference = Reference(registry.host, repository, "1.0.0")
    digest = published(reference)
    source = source_of(reference)
    assert source.look() == digest
    content = source.fetch()
    assert content.version == digest
    assert content.origin == f"oci://{registry.host}/{repository}:1.0.0@{digest}"
    assert content.archive == hashlib.sha256(archive()).hexdigest()
    assert sorted(content.files) == ["bundle.yaml"]
    assert content.attestations == ()
    by_digest = Reference(registry.host, repository, digest=digest)
    assert source_of(by_digest).fetch().files == content.files
    source.close()
    assert source.look() == digest


def test_a_tag_moves(registry: Registry, repository: str) -> None:
    reference = Reference(registry.host, repository, "stable")
    first = published(reference, "1.0.0")
    source = source_of(reference)
    assert source.look() == first
    second = published(reference, "1.1.0")
    assert source.look() == second == source.fetch().version
    assert published(reference, "1.0.0") == first == source.look()
    assert source_of(Reference(registry.host, repository, digest=second)).fetch().version == second


def test_the_newest_version_in_a_range(registry: Registry, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "TAGS_PAGE", 2)
    digests = {}
    for version in ("1.2.0", "1.10.0", "v1.9.9", "2.0.0", "1.11.0-rc.1"):
        digests[version] = published(Reference(registry.host, repository, version), version.removeprefix("v"))
    published(Reference(registry.host, repository, "latest"), "2.0.0")
    source = source_of(Reference(registry.host, repository, versions="^1.2"))
    assert source.look() == digests["1.10.0"]
    published(Reference(registry.host, repository, "1.10.1_build.7"), "1.10.1")
    content = source.fetch()
    assert content.origin.startswith(f"oci://{registry.host}/{repository}:1.10.1_build.7@sha256:")
    none = source_of(Reference(registry.host, repository, versions="^3"))
    assert "tags is a version in the range `^3`" in str(fails(none.look))


@pytest.mark.parametrize("asked", [{"tag": "9"}, {"digest": "sha256:" + "0" * 64}, {"versions": "^1"}])
def test_what_is_not_there_is_told(registry: Registry, repository: str, asked: dict[str, str]) -> None:
    error = fails(source_of(Reference(registry.host, repository, **asked)).fetch)
    assert error.step == "fetch"
    assert f"the registry `{registry.host}` does not have" in str(error)


def test_attestations_come_along(registry: Registry, repository: str) -> None:
    reference = Reference(registry.host, repository, "1.0.0")
    digest = published(reference)
    attach(reference, b'{"one": 1}', NOBODY)
    attach(Reference(registry.host, repository, digest=digest), b'{"two": 2}', NOBODY)
    attach(reference, b'{"one": 1}', NOBODY)
    source = source_of(reference)
    content = source.fetch()
    assert sorted(content.attestations) == [b'{"one": 1}', b'{"two": 2}']
    assert source.look() == content.version
    assert content.version.partition("+")[0] == digest
    attach(reference, b'{"one": 3}', NOBODY)
    assert source.look() != content.version, "what is attested is renewed without the bundle, say when it expires"
    published(Reference(registry.host, repository, "1.1.0"), "1.1.0")
    assert source_of(Reference(registry.host, repository, "1.1.0")).fetch().attestations == ()


def answering(path: str, status: int, body: bytes = b"", **headers: str) -> Fault:
    """Somebody who answers what is asked at paths that end like this."""

    def answer(request: Handler) -> bool:
        if not request.path.endswith(path):
            return False
        request.reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return answer


def test_what_else_refers_to_a_bundle_is_no_attestation(
    open_registry: Registry, repository: str, between: BetweenOf
) -> None:
    """Whoever may push may write there; what can't be read, or is about something else, is nobody's word."""
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    digest = published(reference)
    attach(reference, b"ours", NOBODY)
    subject = described(
        MANIFEST, httpx.get(f"{reference.base()}/manifests/1.0.0", headers={"Accept": MANIFEST}).content
    )
    ours = attestation_manifest(b"ours", subject)
    about_another = attestation_manifest(b"ours", described(MANIFEST, b"another"))
    no_attestation = manifest_of(archive(), artifactType=ATTESTATION, subject=subject.as_json())
    for at, manifest in enumerate((about_another, no_attestation)):
        put_manifest(reference._replace(tag=f"other-{at}"), manifest)
    gone = described(MANIFEST, b"gone")
    entries = [described(MANIFEST, one).as_json() for one in (ours, about_another, no_attestation)]
    listed = index([*entries, gone.as_json(), gone._replace(artifact_type="application/spdx+json").as_json()])
    way.faults.append(answering(f"/manifests/{referrers_tag(digest)}", 200, listed, Content_Type=INDEX))
    assert source_of(reference).fetch().attestations == (b"ours",)
    too_many = index([described(MANIFEST, b"%d" % at).as_json() for at in range(MAX_ATTESTATIONS + 1)])
    way.faults[0] = answering(f"/manifests/{referrers_tag(digest)}", 200, too_many, Content_Type=INDEX)
    assert fails(source_of(reference).fetch).step == "limits"
    way.faults[0] = answering(f"/manifests/{referrers_tag(digest)}", 200, b"{}", Content_Type=INDEX)
    assert "can't be read" in str(fails(source_of(reference).fetch))


# nothing is handed on that is not what its digest says


def test_what_was_changed_on_the_disk_of_the_registry_is_refused(open_registry: Registry, repository: str) -> None:
    reference = Reference(open_registry.host, repository, "1.0.0")
    digest = published(reference)
    source = source_of(reference)
    layer = open_registry.blob(f"sha256:{source.fetch().archive}")
    whole = layer.read_bytes()
    layer.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert fails(source.fetch).step == "digest"
    layer.write_bytes(whole[:-1])
    assert fails(source.fetch).step == "digest"
    layer.write_bytes(whole + b"x")
    assert fails(source.fetch).step == "limits"
    layer.write_bytes(whole)
    assert source.fetch().version == digest


def test_a_manifest_that_was_changed_on_the_way_is_refused(
    open_registry: Registry, repository: str, between: BetweenOf
) -> None:
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    digest = published(reference)
    way.faults.append(answering(f"/manifests/{digest}", 200, manifest_of(archive(), annotations={"a": "b"})))
    error = fails(source_of(reference).fetch)
    assert error.step == "digest"
    assert f"where `{digest}` was asked for" in str(error)


@pytest.mark.parametrize(
    ("fields", "step", "words"),
    [
        ({"artifactType": "application/vnd.example"}, "fetch", "it is an artifact of type `application/vnd.example`"),
        ({"layers": []}, "fetch", "it has 0 layers, not one"),
        (
            {"layers": [{"mediaType": LAYER, "digest": "sha256:" + "0" * 64, "size": 1}]},
            "fetch",
            "does not have the archive",
        ),
        ({"layers": [{"mediaType": LAYER, "digest": "sha256:" + "0" * 64, "size": 1 << 40}]}, "limits", "too large"),
        ({"mediaType": INDEX, "manifests": []}, "fetch", "it is a list of several artifacts"),
    ],
)
def test_what_is_no_bundle_is_refused(
    open_registry: Registry,
    repository: str,
    between: BetweenOf,
    fields: dict[str, Any],
    step: str,
    words: str,
) -> None:
    """Registries take whatever refers to what they have; this one is asked through somebody who has it all."""
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    published(reference)
    manifest = manifest_of(archive(), **fields)
    said = {"Docker_Content_Digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}"}
    way.faults.append(lambda request: "/manifests/" in request.path and answering("", 200, manifest, **said)(request))
    error = fails(source_of(reference).fetch)
    assert (error.step, words in str(error)) == (step, True), error


def test_a_registry_that_does_not_say_a_digest_is_asked_for_all(
    open_registry: Registry, repository: str, between: BetweenOf
) -> None:
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    digest = published(reference)
    way.faults.append(lambda request: request.command == "HEAD" and answering("", 405)(request))
    assert source_of(reference).look() == digest
    way.faults[0] = lambda request: request.command == "HEAD" and answering("", 200)(request)
    assert source_of(reference).look() == digest
    way.faults[0] = lambda request: request.command == "HEAD" and answering("", 200, Docker_Content_Digest="x")(request)
    assert source_of(reference).look() == digest


# a registry that is not well


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_registry_that_is_not_well(open_registry: Registry, repository: str, between: BetweenOf, status: int) -> None:
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    digest = published(reference)
    source = source_of(reference)
    way.faults.append(answering("", status, b'{"errors":[{"code":"X","message":"a\nb"}]}', Retry_After="7"))
    for ask in (source.look, source.fetch):
        error = fails(ask)
        assert error.retry_after == 7
        assert str(status) in str(error) or status == 429
    way.faults.clear()
    assert source.look() == digest == source.fetch().version


def test_answers_that_end_early_never_end_or_are_too_long(
    open_registry: Registry, repository: str, between: BetweenOf
) -> None:
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    digest = published(reference)

    def half(request: Handler) -> bool:
        if request.command == "GET":
            request.reply(200, b"{", {"Content-Length": "1000"})
            request.close_connection = True
        return request.command == "GET"

    def silent(_: Handler) -> bool:
        time.sleep(1.5)
        return True

    def trickling(request: Handler) -> bool:
        request.send_response(200)
        request.end_headers()
        for _ in range(30):
            request.wfile.write(b" ")
            time.sleep(0.05)
        request.close_connection = True
        return True

    def endless(request: Handler) -> bool:
        if request.command == "HEAD":
            return False
        request.send_response(200)
        request.end_headers()
        for _ in range(10):
            request.wfile.write(b"x" * (1 << 20))
        request.close_connection = True
        return True

    for fault, seconds, words in (
        (half, 20, "broken off"),
        (silent, 0.5, "within 0.5 seconds"),
        (trickling, 0.5, "within 0.5 seconds"),
        (endless, 20, "larger than it may be"),
    ):
        way.faults[:] = [fault]
        error = fails(source_of(reference, seconds=seconds).fetch)
        silence = seconds < 1 and "has fallen silent" in str(error)
        assert words in str(error) or silence, (fault, error)
        way.faults.clear()
        assert source_of(reference).fetch().version == digest


# who is let in, and what is shown to whom


def credentials(folder: Path, authority: Authority, password: str = "first", username: str = USER) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "ca.crt").write_bytes(authority.bundle.read_bytes())
    (folder / "username").write_text(username + "\n")
    (folder / "password").write_text(password + "\n")
    return folder


def test_a_name_and_a_password_that_rotate(
    basic_registry: Registry, authority: Authority, tmp_path: Path, repository: str
) -> None:
    reference = Reference(basic_registry.host, repository, "1.0.0")
    folder = credentials(tmp_path / "credentials", authority)
    digest = published(reference, credentials=read_credentials(folder, "fetch"))
    source = source_of(reference, folder)
    assert source.look() == digest == source.fetch().version
    let_in(tmp_path / "distribution", "second")
    error = fails(source.look)
    assert "does not let us in" in str(error)
    assert f"the user `{USER}`" in str(error)
    assert "first" not in str(error)
    credentials(folder, authority, "second")
    assert source.look() == digest == source.fetch().version
    for file in ("username", "password"):
        (folder / file).unlink()
    assert f"there are no credentials for `{basic_registry.host}`" in str(fails(source.fetch))


def test_a_token_server(
    token_registry: Registry,
    token_server: TokenServer,
    authority: Authority,
    tmp_path: Path,
    repository: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reference = Reference(token_registry.host, repository, "1.0.0")
    folder = credentials(tmp_path / "credentials", authority)
    token_server.scopes.clear()
    digest = published(reference, credentials=read_credentials(folder, "fetch"))
    assert token_server.scopes == [f"repository:{repository}:pull", f"repository:{repository}:pull,push"]
    token_server.scopes.clear()
    source = source_of(reference, folder)
    for _ in range(3):
        assert source.look() == digest == source.fetch().version
    assert token_server.scopes == [f"repository:{repository}:pull"]
    with monkeypatch.context() as patched:  # as if the token had expired meanwhile
        patched.setattr(Admission, "header", lambda *_: "Bearer e30.e30.e30")
        assert source.look() == digest
    token_server.password = "second"
    try:
        credentials(folder, authority, "second")
        assert source.look() == digest
        credentials(folder, authority, "first")
        error = fails(source.look)
        assert f"the token server `{urlsplit(token_server.realm).netloc}` does not let us in" in str(error)
        assert "wrong password" in str(error)
    finally:
        token_server.password = "first"
    assert "first" not in str(error)


def test_docker_s_configuration_is_read(
    token_registry: Registry, authority: Authority, tmp_path: Path, repository: str
) -> None:
    (tmp_path / "ca.crt").write_bytes(authority.bundle.read_bytes())
    entry = {"auth": base64.b64encode(f"{USER}:first".encode()).decode()}
    (tmp_path / ".dockerconfigjson").write_text(json.dumps({"auths": {token_registry.host: entry}}))
    reference = Reference(token_registry.host, repository, "1.0.0")
    digest = published(reference, credentials=read_credentials(tmp_path, "fetch"))
    assert source_of(reference, tmp_path).fetch().version == digest
    (tmp_path / ".dockerconfigjson").write_text(json.dumps({"auths": {}, "credsStore": "desktop"}))
    assert "the helper `desktop`, which is not run" in str(fails(source_of(reference, tmp_path).look))
    (tmp_path / ".dockerconfigjson").write_text("{")
    assert "the credentials can't be used: the Docker configuration is no JSON" in str(
        fails(source_of(reference, tmp_path).look)
    )


def test_a_certificate_that_is_not_trusted(token_registry: Registry, tmp_path: Path, repository: str) -> None:
    other = make_authority(tmp_path)
    error = fails(source_of(Reference(token_registry.host, repository, "1"), credentials(tmp_path, other)).look)
    assert "certificate" in str(error)


def test_a_registry_behind_a_proxy(
    token_registry: Registry,
    authority: Authority,
    tmp_path: Path,
    repository: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = (Reference(host, repository, "1.0.0") for host in (token_registry.host, ELSEWHERE))
    folder = credentials(tmp_path / "credentials", authority)
    digest = published(here, credentials=read_credentials(folder, "fetch"))
    tunnel = Tunnel(token_registry.host)
    monkeypatch.setenv("HTTPS_PROXY", f"http://us:er@{tunnel.address}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        source = source_of(there, folder)
        assert source.look() == digest == source.fetch().version
        source.close()
        assert set(tunnel.asked) == {(f"{ELSEWHERE}:443", "Basic dXM6ZXI=")}, "the token server needs none"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,.example")
        assert "is not known by that name" in str(fails(source_of(there, folder, 5).look))
    finally:
        tunnel.close()
    monkeypatch.setenv("NO_PROXY", "")
    error = str(fails(source_of(there, folder).look))
    assert "can't be reached through the proxy" in error
    assert "us:er" not in error


def shown(way: Between) -> list[str | None]:
    return [headers.get("Authorization") for _, _, headers in way.requests]


def asking_for_basic(request: Handler) -> bool:
    if request.headers.get("Authorization"):
        return False
    request.reply(401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
    return True


def plain_credentials(folder: Path) -> Path:
    (folder / "username").write_text(USER)
    (folder / "password").write_text("secret")
    return folder


def test_where_the_registry_redirects_us_nothing_is_shown(
    open_registry: Registry, repository: str, between: BetweenOf, tmp_path: Path
) -> None:
    way, store = between(open_registry.host), between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    digest = published(reference)
    way.requests.clear()
    way.faults.append(asking_for_basic)

    def redirect(request: Handler) -> bool:
        if "/blobs/" in request.path:
            request.reply(307, b"", {"Location": f"http://{store.host}{request.path}?signature=x"})
        return "/blobs/" in request.path

    way.faults.append(redirect)
    content = source_of(reference, plain_credentials(tmp_path)).fetch()
    assert content.version == digest
    assert shown(way)[0] is None
    assert all(one and one.startswith("Basic ") for one in shown(way)[1:])
    assert len(shown(store)) == 1
    assert shown(store) == [None]


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://192.0.2.1/blob", "only https is asked"),
        ("ftp://127.0.0.1/blob", "not encrypted"),
        ("file:///etc/passwd", "not encrypted"),
        ("http://[::1/", "redirects us to no address"),
        ("", "answers 307"),
        ("/", "more than 5 times"),
    ],
)
def test_a_redirect_that_is_not_followed(
    open_registry: Registry, repository: str, between: BetweenOf, location: str, words: str
) -> None:
    way = between(open_registry.host)
    reference = Reference(way.host, repository, "1.0.0")
    published(reference)
    way.faults.append(lambda request: request.command == "GET" and answering("", 307, Location=location)(request))
    assert words in str(fails(source_of(reference).fetch))


def test_a_token_is_not_asked_for_at_a_place_that_is_not_encrypted(between: BetweenOf, tmp_path: Path) -> None:
    way = between("")
    challenge = 'Bearer realm="http://192.0.2.1/token",service="x"'
    way.faults.append(answering("", 401, WWW_Authenticate=challenge))
    error = fails(source_of(Reference(way.host, "a", "1"), plain_credentials(tmp_path)).look)
    assert "`http://192.0.2.1` for a token, which is not encrypted" in str(error)
    assert shown(way) == [None]


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"token": 7}', b'{"token": "a b"}', b'{"token": "a\\r\\nX: y"}']
)
def test_what_is_no_token_is_not_shown(between: BetweenOf, answer: bytes) -> None:
    way = between("")
    way.faults.append(lambda request: request.path.startswith("/token") and answering("", 200, answer)(request))
    way.faults.append(answering("", 401, WWW_Authenticate=f'Bearer realm="http://{way.host}/token"'))
    assert "the token server" in str(fails(source_of(Reference(way.host, "a", "1")).look))
    assert set(shown(way)) == {None}


def test_an_identity_token_is_exchanged(between: BetweenOf, tmp_path: Path) -> None:
    """As registries of clouds have it; the form goes to the token server, and nowhere else."""
    way = between("")

    def tokens(request: Handler) -> bool:
        if request.path == "/token":
            request.reply(200, b'{"access_token": "short"}')
        return request.path == "/token"

    way.faults.append(tokens)
    challenge = f'Bearer realm="http://{way.host}/token",service="s"'
    way.faults.append(
        lambda request: (
            not request.headers.get("Authorization") and answering("", 401, WWW_Authenticate=challenge)(request)
        )
    )
    entry = {"auth": base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode(), "identitytoken": "long"}
    (tmp_path / ".dockerconfigjson").write_text(json.dumps({"auths": {way.host: entry}}))
    fails(source_of(Reference(way.host, "a", "1"), tmp_path).look)
    assert [(method, headers.get("Authorization")) for method, _, headers in way.requests] == [
        ("HEAD", None),
        ("POST", None),
        ("HEAD", "Bearer short"),
    ]


def test_a_bearer_token_of_the_folder_is_shown_as_it_is(between: BetweenOf, tmp_path: Path) -> None:
    way = between("")
    challenge = 'Bearer realm="https://192.0.2.1/token"'
    way.faults.append(answering("", 401, WWW_Authenticate=challenge))
    (tmp_path / "bearerToken").write_text("given\n")
    assert "by the token that it was shown" in str(fails(source_of(Reference(way.host, "a", "1"), tmp_path).look))
    assert shown(way) == [None, "Bearer given"]


def test_pages_of_tags_are_the_registry_s_own(between: BetweenOf) -> None:
    way = between("")
    source = source_of(Reference(way.host, "a", versions="^1"))
    way.faults.append(
        answering("", 200, b'{"tags": ["2.0.0"]}', Link='<http://192.0.2.1/v2/a/tags/list?n=1>; rel="next"')
    )
    assert "at another place" in str(fails(source.look))
    way.faults[0] = answering("", 200, b'{"tags": null}', Link='</v2/a/tags/list?n=1000>; rel="next"')
    assert "none of 0 tags" in str(fails(source.look))
    way.faults[0] = answering("", 200, b"[]")
    assert "the list of tags is no JSON object" in str(fails(source.look))
