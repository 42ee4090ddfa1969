"""Git over https: dulwich's client, whose requests `Https` makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from dulwich.client import AbstractHttpGitClient, GitClient

from delivery.content import SourceError
from delivery.credentials import Credentials
from delivery.git.remote import Listening, Remote, shortened
from delivery.https import Answer, Https
from delivery.transfer import Transfer

MAX_REDIRECTS = 5


class HttpsRemote(Remote):
    """A repository at `https://…`; `credentials` gives what to show, as of now."""

    def __init__(self, url: str, credentials: Callable[[Transfer], Credentials]) -> None:
        self._url, self._credentials, self._https = url, credentials, Https()

    def client(self, transfer: Transfer, listening: Listening) -> tuple[GitClient, bytes]:
        return _Client(self._url, self._https, transfer, self._credentials(transfer), listening), b""

    def close(self) -> None:
        self._https.close()


class _Client(AbstractHttpGitClient):
    """As with git, only the first request may be redirected, and the ones that follow go where it led.

    Credentials are shown to the host that was asked for, nobody else.
    """

    def __init__(
        self, url: str, https: Https, transfer: Transfer, credentials: Credentials, listening: Listening
    ) -> None:
        super().__init__(url, thin_packs=False, quiet=True)
        self._https, self._transfer, self._credentials, self._listening = https, transfer, credentials, listening
        self._origin = urlsplit(url)[:2]
        self._answers: list[Answer] = []

    def close(self) -> None:
        for answer in self._answers:
            answer.close()

    def _get_url(self, path: str | bytes) -> str:  # noqa: ARG002
        return self._base_url

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002
    ) -> tuple[Any, Callable[[int], bytes]]:
        assert data is None or isinstance(data, bytes)
        if data is None and "/info/refs?service=" not in url:
            raise self._transfer.error(f"{self._transfer.whom} points to packs elsewhere, which are not fetched")
        answer, place = self._followed(url, headers or {}, data)
        if answer.status != 200:
            raise self._refusal(answer)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if not kind.startswith("application/x-git-"):
            said = shortened(kind) or "nothing"
            text = f"{self._transfer.whom} does not answer as a Git server there, but with `{said}`"
            raise self._transfer.error(f"{text}; is the address that of the repository itself?")
        answer.content_type = kind  # type: ignore[attr-defined]
        answer.redirect_location = place if place != url else ""  # type: ignore[attr-defined]
        return answer, self._listening(answer.read)

    def _followed(self, url: str, headers: Mapping[str, str], data: bytes | None) -> tuple[Answer, str]:
        method, place, tail = ("GET" if data is None else "POST"), url, url[url.rindex("/") :]
        for _ in range(MAX_REDIRECTS):
            sent = dict(headers)
            if self._credentials.authorization and urlsplit(place)[:2] == self._origin:
                sent["Authorization"] = self._credentials.authorization
            answer = self._https.request(self._transfer, method, place, sent, data, self._credentials.authority)
            self._answers.append(answer)
            if answer.status not in (301, 302, 303, 307, 308) or data is not None:
                return answer, place
            place = urljoin(place, answer.headers.get("Location", ""))
            answer.close()
            if not place.startswith("https://") or not place.endswith(f"/info{tail}"):
                raise self._transfer.error(f"{self._transfer.whom} redirects to what is no repository over https")
        raise self._transfer.error(f"{self._transfer.whom} redirects in a circle")

    def _refusal(self, answer: Answer) -> SourceError:
        status, shown = answer.status, bool(self._credentials.authorization)
        match status:
            case 401 | 403 if shown:
                text = f"refuses the credentials ({status}); are they current, and may they read the repository?"
            case 401 | 403:
                text = f"wants credentials ({status}), and there are none; give `username` and `password`, or a token"
            case 404 | 410:
                whom = "to these" if shown else "without"
                text = f"has no repository there ({status}), or does not show it {whom} credentials"
            case 407:
                text = "can't be reached: the proxy wants credentials (407)"
            case 429:
                text = "wants to be asked less often (429)"
            case _ if 300 <= status < 400:
                text = f"redirects in the middle of an answer ({status})"
            case _:
                text = f"fails to answer ({status})" if status >= 500 else f"refuses to answer ({status})"
        return self._transfer.error(f"{self._transfer.whom} {text}", answer.retry_after)

    @staticmethod
    def _warn_filter_objects() -> None:
        """A server that does not filter sends all, which is measured as it comes."""
