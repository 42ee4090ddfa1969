"""Access to a Kubernetes API server: raw answers to requests.

A pod's service account and plain kubeconfig files are read in `access.py`. All else the official client knows how to do
(exec plugins, providers, proxies); it is imported only then. Its models are left alone: decoding 5,000 nodes with them
takes seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import urllib3

from cluster.access import KUBECONFIG, plain_kubeconfig, service_account

if TYPE_CHECKING:
    from kubernetes.client import Configuration

CONNECT_SECONDS = 5.0
RELEASE_SECONDS = 5.0
MOST_OF_RELEASE = 64 << 10
"""How long an API server may take to say its release, and how many bytes."""
CONNECTIONS = 32
"""So many stay open: one for each watch, one for each look-up that is under way."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
InCluster = Literal["auto", "yes", "no"]

_ERRNO = re.compile(r"\[Errno -?\d+\] ?")


class ClusterError(Exception):
    """There is no way to a cluster: the text says what was tried."""


class Cluster:
    """One API server. Requests may be made from any thread."""

    def __init__(self, url: str, pool: urllib3.PoolManager, authorization: Callable[[], str]) -> None:
        """`authorization` gives the value of the header as of now: tokens are renewed behind it."""
        self.url = url
        self._pool, self._authorization = pool, authorization

    def get(
        self, path: str, query: Mapping[str, str], read_seconds: float, connect_seconds: float = CONNECT_SECONDS
    ) -> urllib3.BaseHTTPResponse:
        """Open an answer whose body is still to be read; `read_seconds` is the longest silence.

        Raises urllib3's HTTPError or OSError when the server can't be reached; any HTTP status is an answer.
        """
        return self.ask("GET", path, query, {}, read_seconds, connect_seconds)

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        read_seconds: float,
        connect_seconds: float = CONNECT_SECONDS,
        body: bytes | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """The same by any method, with more headers, and with a body."""
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", "User-Agent": "bayplan", **headers}
        if authorization := self._authorization():
            headers["Authorization"] = authorization
        return self._pool.request(
            method,
            url,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=connect_seconds, read=read_seconds),
            preload_content=False,
            retries=False,
            redirect=False,
        )

    def close(self) -> None:
        self._pool.clear()


def connect(kubeconfig: str | None = None, context: str | None = None, in_cluster: InCluster = "auto") -> Cluster:
    """The cluster that the arguments name; without any, the one that this process runs in, else kubectl's.

    Raises ClusterError.
    """
    mine = in_cluster == "yes" or (in_cluster == "auto" and not kubeconfig and not context and inside())
    path = kubeconfig or os.environ.get("KUBECONFIG")
    access = (
        service_account(SERVICE_ACCOUNT) if mine else plain_kubeconfig(KUBECONFIG if path is None else path, context)
    )
    if access:
        connecting: dict[str, Any] = {"maxsize": CONNECTIONS, "cert_reqs": "CERT_REQUIRED", **access.connecting}
        return Cluster(access.url, urllib3.PoolManager(**connecting), access.authorization)
    try:
        return _by_the_official_client(mine, path, context)
    except Exception as error:
        where = f" in `{kubeconfig}`" if kubeconfig else ""
        raise ClusterError(f"there is no cluster to connect to{where}: {_said(error, kubeconfig)}") from error


def release_of(cluster: Cluster) -> str:
    """The release as the API server says it, `v1.36.3`; empty where it does not say so in time. Every user may ask."""
    try:
        response = cluster.get("/version", {}, RELEASE_SECONDS)
        body = response.read(MOST_OF_RELEASE, decode_content=True)
        response.close()
        answer: Any = json.loads(body) if response.status == 200 else None
    except (urllib3.exceptions.HTTPError, OSError, ValueError):
        return ""
    said = answer.get("gitVersion") if isinstance(answer, dict) else None
    return said if isinstance(said, str) else ""


def _by_the_official_client(mine: bool, path: str | None, context: str | None) -> Cluster:
    """The cluster of the pod that this runs in (`mine`), or of kubeconfig files. Raises whatever it stumbles over."""
    from kubernetes import config
    from kubernetes.client import Configuration
    from kubernetes.client.rest import RESTClientObject

    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    if mine:
        config.load_incluster_config(client_configuration=configuration)
    else:
        config.load_kube_config(path, context, client_configuration=configuration, persist_config=False)
        _follow_token_file(configuration, path, context)

    def authorization() -> str:
        settings: Mapping[str, Any] = configuration.auth_settings()
        if "BearerToken" in settings:
            return str(settings["BearerToken"]["value"])
        return str(configuration.get_basic_auth_token()) if configuration.username else ""

    return Cluster(configuration.host.rstrip("/"), RESTClientObject(configuration).pool_manager, authorization)


def _follow_token_file(configuration: Configuration, kubeconfig: str | None, context: str | None) -> None:
    """Read the user's `tokenFile` again at each request, as client-go does; the official client reads it once.

    A file that can't be read, or is empty, leaves the last token.
    """
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

    config = KubeConfigMerger(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION).config
    chosen = config["contexts"].get_with_name(context or config["current-context"])["context"]
    user = config["users"].get_with_name(chosen["user"], safe=True) if "user" in chosen else None
    if not user or "user" not in user or "tokenFile" not in (found := user["user"]):
        return
    file = Path(found.path).absolute().parent / found["tokenFile"]

    def read(configuration: Configuration) -> None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if token := file.read_text().strip():
                configuration.api_key["BearerToken"] = f"Bearer {token}"

    configuration.refresh_api_key_hook = read


def _said(error: Exception, kubeconfig: str | None) -> str:
    """Why a kubeconfig can't be used. Whatever the official client stumbles over in a file is the file's fault."""
    from kubernetes.config import ConfigException

    if isinstance(error, ConfigException | OSError):
        return " ".join(_ERRNO.sub("", str(error)).split()).rstrip(".")
    return "this is no kubeconfig" if kubeconfig else "kubectl's kubeconfig is none"


def is_silence(error: Exception) -> bool:
    """Whether a request failed because nobody answered in time; a connection that is refused is an answer."""
    refused = isinstance(error, urllib3.exceptions.NewConnectionError)
    return isinstance(error, (urllib3.exceptions.TimeoutError, TimeoutError)) and not refused


def plain(error: Exception) -> str:
    """Why a server can't be reached, in words: without addresses of objects and numbers of errors."""
    if is_silence(error):
        return "no answer in time"
    cause = _cause(error)
    if isinstance(cause, urllib3.exceptions.NameResolutionError):
        return _ERRNO.sub("", str(cause).rpartition(": ")[2])
    text = getattr(cause, "strerror", None) or str(getattr(cause, "reason", None) or cause)
    return _ERRNO.sub("", text.rpartition(">: ")[2] if text.startswith("<") else text).strip()


def _cause(error: BaseException) -> BaseException:
    """The error of the system that an error of the library is about, or itself."""
    while not isinstance(error, urllib3.exceptions.NameResolutionError):
        told = next((each for each in error.args if isinstance(each, OSError)), None)
        inner = told or (error.__cause__ if isinstance(error, urllib3.exceptions.HTTPError) else None)
        if inner is None:
            break
        error = inner
    return error


def inside() -> bool:
    """Whether this process runs in a pod that has a service account."""
    return "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").is_file()


def own_namespace() -> str | None:
    """The namespace of the pod that this process runs in, if it does."""
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text().strip() or None
    except OSError:
        return None
