"""The API of a registry, as the OCI distribution specification 1.1 has it: one repository, within one transfer.

Nothing that arrives is handed on before it was measured and compared with its digest. Credentials are shown to the
registry that they are for, and to an encrypted place that it names for tokens; not to where it redirects us.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from delivery.content import SourceError
from delivery.credentials import Credentials
from delivery.oci.account import Account, account_for
from delivery.oci.artifact import INDEX, MANIFEST, MAX_MANIFEST, Descriptor, digest_of
from delivery.oci.challenge import challenges, token_query, token_url, with_query
from delivery.oci.reference import DIGEST, Reference
from delivery.transfer import Transfer
from engine.documents import printable

if TYPE_CHECKING:  # whoever reads a folder does without
    from delivery.https import Answer, Https

PULL, PUSH = "pull", "pull,push"
MAX_TOKEN = 1 << 20
MAX_REFUSAL = 1 << 14
MAX_TAGS_PAGE = 4 << 20
MAX_TAGS = 100_000
TAGS_PAGE = 1_000
MAX_REDIRECTS = 5
"""Limits: bytes of a token server's answer, of what is read of a refusal, of a page of tags; tags; how many are asked
for at once; redirects."""

_NEXT = re.compile(r'<(?P<url>[^>]*)>\s*;\s*rel="?next"?')
_MANIFESTS = f"{MANIFEST}, {INDEX}"
_UNKNOWN = (400, 404, 405, 501)
"""What registries answer to a question that they do not know."""


class Admission:
    """What let us in last, kept from one transfer to the next. What has expired is replaced when it is refused."""

    def __init__(self) -> None:
        self._headers: dict[tuple[Account, str], str] = {}

    def header(self, account: Account, actions: str) -> str:
        """What to show now, before it is asked for; empty where that is not known."""
        return self._headers.get((account, actions), "")

    def keep(self, account: Account, actions: str, header: str) -> None:
        self._headers = {key: value for key, value in self._headers.items() if key[0] == account}
        self._headers[account, actions] = header


class Repository:
    """A repository of a registry. Each method raises SourceError."""

    def __init__(
        self, reference: Reference, credentials: Credentials, admission: Admission, https: Https, transfer: Transfer
    ) -> None:
        self._reference, self._admission, self._https, self._transfer = reference, admission, https, transfer
        self._authority = credentials.authority
        self._base = reference.base(private=bool(credentials.authority))
        with self._told("the credentials can't be used: "):
            self._account = account_for(reference, credentials)

    # what is there

    def digest(self, name: str) -> str:
        """The digest of the manifest that a tag names now. Cheap where the registry says it beforehand."""
        answer = self._ask("HEAD", f"manifests/{name}", {"Accept": _MANIFESTS})
        with contextlib.closing(answer):
            digest = answer.headers.get("Docker-Content-Digest", "")
            if answer.status == 200 and DIGEST.fullmatch(digest):
                return digest
            if answer.status not in (200, 405) and not 300 <= answer.status < 400:
                raise self._refusal(answer, self._named(name))
        return digest_of(self.manifest(name))

    def manifest(self, name: str) -> bytes:
        """The manifest of a tag or a digest; of a digest that one."""
        data = self.find(name)
        if data is None:
            raise self._transfer.error(
                f"{self._transfer.whom} does not have `{name}` in `{self._reference.repository}`"
            )
        return data

    def blob(self, wanted: Descriptor, limit: int, what: str) -> bytes:
        """What a descriptor of a manifest names."""
        if wanted.size > limit:
            raise SourceError("limits", f"{what} is too large: {wanted.size:,} bytes, at most {limit:,}")
        data, _ = self._got(f"blobs/{wanted.digest}", {}, wanted.size, what)
        if len(data) < wanted.size:
            raise SourceError("digest", f"{what} has {len(data):,} bytes, where its manifest says {wanted.size:,}")
        self._compare(data, wanted.digest, what)
        return data

    def tags(self) -> list[str]:
        """All tags, page by page."""
        found: list[str] = []
        path = f"tags/list?n={TAGS_PAGE}"
        seen: set[str] = set()
        while path and path not in seen:
            seen.add(path)
            data, headers = self._got(path, {}, MAX_TAGS_PAGE, "the list of tags")
            listed = self._json(data, "the list of tags").get("tags")
            found += [tag for tag in listed or () if isinstance(tag, str)] if isinstance(listed, list | None) else ()
            if len(found) > MAX_TAGS or len(seen) > MAX_TAGS:
                raise SourceError("limits", f"there are more than {MAX_TAGS:,} tags: name one, or a digest")
            path = self._next_page(headers.get("Link", ""), path)
        return found

    def referrers(self, digest: str) -> bytes | None:
        """The list of what is about a manifest; None where the registry does not keep such lists."""
        with contextlib.closing(self._get(f"referrers/{digest}", {"Accept": INDEX})) as answer:
            media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
            if answer.status in _UNKNOWN or (answer.status == 200 and media_type != INDEX):
                return None
            if answer.status != 200:
                raise self._refusal(answer, f"the list of what refers to `{digest}`")
            return self._body(answer, MAX_MANIFEST, "the list of attestations")

    def find(self, name: str) -> bytes | None:
        """As `manifest`; None where there is none."""
        with contextlib.closing(self._get(f"manifests/{name}", {"Accept": _MANIFESTS})) as answer:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise self._refusal(answer, self._named(name))
            data = self._body(answer, MAX_MANIFEST, f"the manifest of {self._named(name)}")
        if DIGEST.fullmatch(name):
            self._compare(data, name, f"the manifest of {self._named(name)}")
        return data

    # what is put there

    def upload(self, wanted: Descriptor, data: bytes) -> None:
        """Put a blob there, unless it is there."""
        with contextlib.closing(self._ask("HEAD", f"blobs/{wanted.digest}", {}, PUSH)) as answer:
            if answer.status == 200:
                return
            if answer.status not in (404, 307, 302):
                raise self._refusal(answer, "the repository")
        with contextlib.closing(self._ask("POST", "blobs/uploads/", {}, PUSH, b"")) as answer:
            if answer.status != 202:
                raise self._refusal(answer, "the repository")
            place = self._same_place(answer.headers.get("Location", ""))
        target = with_query(place, {"digest": wanted.digest})
        kind = {"Content-Type": "application/octet-stream"}
        with contextlib.closing(self._ask("PUT", target, kind, PUSH, data)) as answer:
            if answer.status != 201:
                raise self._refusal(answer, "what is uploaded")

    def put(self, name: str, manifest: bytes, media_type: str = MANIFEST) -> bool:
        """Put a manifest there under a tag or its digest. Whether the registry keeps what it is about."""
        answer = self._ask("PUT", f"manifests/{name}", {"Content-Type": media_type}, PUSH, manifest)
        with contextlib.closing(answer):
            if answer.status != 201:
                raise self._refusal(answer, self._named(name))
            said = answer.headers.get("Docker-Content-Digest", "")
            if said and said != digest_of(manifest):
                raise SourceError("digest", f"the registry has kept `{printable(said)}`, not what was sent")
            return "OCI-Subject" in answer.headers

    # how

    def _named(self, name: str) -> str:
        """A manifest of the repository, for people."""
        return f"`{self._reference.repository}{'@' if DIGEST.fullmatch(name) else ':'}{name}`"

    def _got(self, path: str, headers: Mapping[str, str], limit: int, what: str) -> tuple[bytes, Mapping[str, str]]:
        with contextlib.closing(self._get(path, headers)) as answer:
            if answer.status != 200:
                raise self._refusal(answer, what)
            return self._body(answer, limit, what), answer.headers

    def _body(self, answer: Answer, limit: int, what: str) -> bytes:
        data = answer.read(limit + 1)
        if len(data) > limit:
            raise SourceError("limits", f"{what} is larger than it may be: more than {limit:,} bytes")
        return data

    def _compare(self, data: bytes, digest: str, what: str) -> None:
        if digest_of(data) != digest:
            text = f"{what} is not what its digest says: `{digest_of(data)}` where `{digest}` was asked for"
            raise SourceError("digest", text)

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str], actions: str = PULL, body: bytes | None = None
    ) -> Answer:
        """The answer of the registry itself; where it wants to know who we are, it is told once."""
        url = path if "://" in path else f"{self._base}/{path}"
        shown = self._admission.header(self._account, actions)
        answer = self._request(method, url, headers, shown, body)
        if answer.status != 401:
            return answer
        with contextlib.closing(answer):
            asked = challenges(answer.headers.get("WWW-Authenticate", ""))
            refusal = self._refusal(answer, "the repository")
        fresh = self._let_in(asked, actions)
        if not fresh or (fresh == shown and "bearer" not in asked):
            raise refusal
        self._admission.keep(self._account, actions, fresh)
        return self._request(method, url, headers, fresh, body)

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], authorization: str = "", body: bytes | None = None
    ) -> Answer:
        more = {"Authorization": authorization} if authorization else {}
        sent = {"Accept-Encoding": "identity", **headers, **more}
        return self._https.request(self._transfer, method, url, sent, body, self._authority)

    def _get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """The answer of the registry, or of where it redirects us: that is asked without credentials.

        Many registries keep blobs at somebody else's.
        """
        answer, url = self._ask("GET", path, headers), f"{self._base}/{path}"
        for _ in range(MAX_REDIRECTS):
            location = answer.headers.get("Location", "")
            if answer.status not in (301, 302, 303, 307, 308) or not location:
                return answer
            answer.close()
            with self._told("the registry redirects us to no address: "):
                url = urljoin(url, location)
                place = urlsplit(url)
            if place.scheme != "https" and not (place.scheme == "http" and self._base.startswith("http://")):
                raise self._transfer.error(f"the registry redirects us to `{place.scheme}://`, which is not encrypted")
            with self._asking(f"`{printable(place.netloc.rpartition('@')[2])}`, where the registry redirects us,"):
                answer = self._request("GET", url, headers)
        answer.close()
        raise self._transfer.error(f"the registry redirects us more than {MAX_REDIRECTS} times")

    def _let_in(self, asked: Mapping[str, Mapping[str, str]], actions: str) -> str:
        """The header that answers a challenge; empty where we have nothing to show."""
        if self._account.token:
            return f"Bearer {self._account.token}"
        if "bearer" in asked:
            return self._token(asked["bearer"], actions)
        return self._account.basic if "basic" in asked else ""

    def _token(self, bearer: Mapping[str, str], actions: str) -> str:
        with self._told("the registry "):
            realm = token_url(bearer, self._base)
        query = token_query(bearer, self._reference, actions)
        host = urlsplit(realm).netloc
        with self._asking(f"the token server `{host}`"):
            if self._account.refresh:
                form = {**query, "grant_type": "refresh_token", "client_id": "bayplan"}
                body = urlencode({**form, "refresh_token": self._account.refresh}).encode()
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                answer = self._request("POST", realm, kind, "", body)
            else:
                answer = self._request("GET", with_query(realm, query), {}, self._account.basic)
            with contextlib.closing(answer):
                if answer.status != 200:
                    raise self._refusal(answer, "the place for tokens")
                said = self._json(self._body(answer, MAX_TOKEN, "the token"), "the token server's answer")
        token = said.get("token") or said.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise self._transfer.error(f"the token server `{host}` gives no token")
        return f"Bearer {token}"

    def _same_place(self, location: str) -> str:
        """Where to upload to: at the registry itself, for credentials are shown there."""
        with self._told("the registry names no place to upload to: "):
            url = urljoin(f"{self._base}/", location)
            place, own = urlsplit(url), urlsplit(self._base)
            same = (place.scheme, place.netloc) == (own.scheme, own.netloc)
        if not location or not same:
            there = printable(f"{place.scheme}://{place.netloc.rpartition('@')[2]}")
            raise self._transfer.error(
                f"the registry wants the upload at another place, `{there}`: that is not followed"
            )
        return url

    def _next_page(self, link: str, path: str) -> str:
        found = _NEXT.search(link)
        if not found:
            return ""
        with self._told("the registry names no next page of tags: "):
            here = urlsplit(f"{self._base}/{path}")
            url = urlsplit(urljoin(here.geturl(), found["url"]))
        if (url.netloc, url.path) != (here.netloc, here.path):
            raise self._transfer.error("the registry has the next page of tags at another place: that is not followed")
        return f"tags/list?{url.query}"

    def _json(self, data: bytes, what: str) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._transfer.error(f"{what} is no JSON object")
        return value

    def _refusal(self, answer: Answer, what: str) -> SourceError:
        """Why the other side does not do what it is asked, as an error."""
        whom, said = self._transfer.whom, _said(answer)
        if answer.status == 401:
            return self._transfer.error(f"{whom} does not let us in{said}: {self._shown()}")
        if answer.status == 403:
            return self._transfer.error(f"{whom} does not allow it{said}: {self._shown()}")
        if answer.status == 404:
            return self._transfer.error(f"{whom} does not have {what}{said}")
        if answer.status == 429:
            return self._transfer.error(f"{whom} wants to be asked less often{said}", answer.retry_after)
        return self._transfer.error(f"{whom} answers {answer.status}{said}", answer.retry_after)

    def _shown(self) -> str:
        account = self._account
        if account.helper:
            helper = printable(account.helper)
            return f"the Docker configuration keeps its credentials in the helper `{helper}`, which is not run"
        if not account.known:
            return f"there are no credentials for `{self._reference.registry}`"
        return f"the user `{account.username}`" if account.username else "by the token that it was shown"

    @contextlib.contextmanager
    def _asking(self, whom: str) -> Iterator[None]:
        """What goes wrong meanwhile is somebody else's doing."""
        before, self._transfer.whom = self._transfer.whom, whom
        try:
            yield
        finally:
            self._transfer.whom = before

    @contextlib.contextmanager
    def _told(self, before: str) -> Iterator[None]:
        """A ValueError, told as what it is about."""
        try:
            yield
        except ValueError as error:
            raise self._transfer.error(f"{before}{error}") from None


def _said(answer: Answer) -> str:
    """What the other side says itself about an error, if it does as it should."""
    try:
        errors = json.loads(answer.read(MAX_REFUSAL))["errors"]
        text = " ".join(f"{errors[0].get('code', '')}: {errors[0].get('message', '')}".split())
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError, SourceError):
        return ""
    return f" ({printable(text[:200])})" if text.strip(": ") else ""
