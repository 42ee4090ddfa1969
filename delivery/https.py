"""Asking a server over https, or on this machine over http, within what a `Transfer` allows.

Redirects are answers: who follows one knows whose credentials it has. Connections are kept from one transfer to the
next. At the end of its time each connection of a transfer is shut down, in whatever it waits for: the handshake, a
header, the rest of an answer.
"""

from __future__ import annotations

import contextlib
import email.utils
import os
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from delivery.proxies import is_loopback, proxy_for
from delivery.transfer import Transfer

CHUNK = 1 << 16
CONNECT_SECONDS = 10.0
MAX_RETRY_AFTER = 3600.0
LATER = 1.0
"""How much later than a transfer a silent connection of it ends by itself: what is told is that the transfer did."""


class Answer:
    """What a server answers: its status and headers, and its body as far as it has been read."""

    def __init__(self, response: urllib3.BaseHTTPResponse, transfer: Transfer) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response, self._transfer = response, transfer
        self._buffer = bytearray()

    def read(self, count: int) -> bytes:
        """The next bytes of the body, fewer only at its end. Raises SourceError."""
        while len(self._buffer) < count:
            with told(self._transfer):
                more = self._response.read(CHUNK, decode_content=False)
            if not more:
                break
            self._transfer.received(len(more))
            self._buffer += more
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    @property
    def retry_after(self) -> float:
        """The seconds that the server asks to be left alone, at most an hour."""
        said = self.headers.get("Retry-After", "").strip()
        if said.isdigit():
            return min(float(said), MAX_RETRY_AFTER)
        date = email.utils.parsedate_tz(said)
        seconds = email.utils.mktime_tz(date) - time.time() if date else 0.0
        return max(0.0, min(seconds, MAX_RETRY_AFTER))

    def close(self) -> None:
        """Done with it: what was not read is thrown away with its connection, which is kept where that is nothing."""
        if self._response.length_remaining == 0:
            with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
                self._response.read(decode_content=False)
        self._response.close()
        self._response.release_conn()


class Https:
    """A client for one source. Not for several threads at once."""

    def __init__(self) -> None:
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}
        self._transfer: Transfer | None = None

    def request(
        self,
        transfer: Transfer,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        authority: str = "",
    ) -> Answer:
        """The answer to a request, whatever its status. Raises SourceError when there is none.

        `authority` is PEM: the certificates that the server's may be signed by, in place of the system's.
        """
        self._transfer = transfer
        later = transfer.left() + LATER
        with told(transfer):
            response = self._pool(transfer, url, authority).request(
                method,
                url,
                body=body,
                headers={"User-Agent": "bayplan", **headers},
                timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, later), read=later),
                preload_content=False,
                decode_content=False,
                retries=False,
                redirect=False,
            )
        return Answer(response, transfer)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()
        self._pools.clear()

    def _pool(self, transfer: Transfer, url: str, authority: str) -> urllib3.PoolManager:
        place = urlsplit(url)
        if place.scheme != "https" and (place.scheme != "http" or not is_loopback(place.hostname or "")):
            raise transfer.error(f"`{place.scheme}` to `{place.hostname}` is refused, only https is asked")
        proxy = proxy_for(place.hostname or "", place.port or 443, os.environ) if place.scheme == "https" else ""
        if (proxy, authority) not in self._pools:
            self.close()  # of an authority or a proxy that was before, nothing is kept
            self._pools[proxy, authority] = self._made(transfer, proxy, authority)
        return self._pools[proxy, authority]

    def _made(self, transfer: Transfer, proxy: str, authority: str) -> urllib3.PoolManager:
        try:
            context = ssl.create_default_context(cadata=authority or None)
        except (ssl.SSLError, ValueError):
            raise transfer.error("`ca.crt` of the credentials holds no certificates in PEM") from None
        pool = urllib3.PoolManager(ssl_context=context)
        if proxy:
            user = urllib3.util.parse_url(proxy).auth
            shown = urllib3.make_headers(proxy_basic_auth=unquote(user)) if user else None
            pool = urllib3.ProxyManager(proxy, proxy_headers=shown, ssl_context=context)
        pool.pool_classes_by_scheme = self._pool_classes()
        return pool

    def _pool_classes(self) -> dict[str, type[HTTPConnectionPool]]:
        """Pools whose connections the transfer that is under way can interrupt."""
        client = self

        class Interruptible(HTTPConnection):
            _handle: socket.socket | None = None

            def _new_conn(self) -> socket.socket:
                made = super()._new_conn()
                self._handle = made.dup()  # that of `made` is taken over by what encrypts
                self._interruptible()
                return made

            def request(self, *args: Any, **options: Any) -> None:
                self._interruptible()
                super().request(*args, **options)

            def close(self) -> None:
                super().close()
                if self._handle is not None:
                    self._handle.close()
                    self._handle = None

            def _interruptible(self) -> None:
                if client._transfer is not None and (handle := self._handle) is not None:
                    client._transfer.interrupted_by(lambda: handle.shutdown(socket.SHUT_RDWR))

        class Encrypted(Interruptible, HTTPSConnection):
            """The same, encrypted."""

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Interruptible

        class Pool(HTTPSConnectionPool):
            ConnectionCls = Encrypted

        return {"http": PlainPool, "https": Pool}


@contextlib.contextmanager
def told(transfer: Transfer) -> Any:
    """What goes wrong on the way, as SourceError in words."""
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise transfer.error(f"{transfer.whom} {_words(error)}") from error


def _words(error: BaseException) -> str:
    cause = error.args[-1] if error.args and isinstance(error.args[-1], BaseException) else error.__cause__
    for one in (error, cause):
        if isinstance(one, ssl.SSLCertVerificationError):
            hint = "; a private authority's certificates go into `ca.crt` of the credentials"
            return f"shows a certificate that is not trusted: {one.verify_message}" + hint
    match error:
        case urllib3.exceptions.ProxyError():
            return f"can't be reached through the proxy: {_plain(cause or error)}"
        case urllib3.exceptions.SSLError():
            return f"does not speak TLS as it should: {_plain(error)}"
        case urllib3.exceptions.NameResolutionError():
            return "is not known by that name"
        case urllib3.exceptions.NewConnectionError():
            return f"can't be reached: {_plain(cause or error)}"
        case urllib3.exceptions.ConnectTimeoutError():
            return "can't be reached: no answer to the attempt to connect"
        case urllib3.exceptions.ReadTimeoutError():
            return "has fallen silent"
        case urllib3.exceptions.ProtocolError():
            return f"has broken off its answer: {_plain(cause or error)}"
    return f"can't be asked: {_plain(error)}"


def _plain(error: BaseException) -> str:
    """An error without the addresses of Python's objects."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.rpartition(">: ")[2] or type(error).__name__
