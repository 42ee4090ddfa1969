"""Where an API server is, and who we are there: a pod's service account, and kubeconfig files that are plain.

Both are a few files and fields, and the official client takes longer to import than Bayplan to read them. Whatever else
there may be (plugins, providers, proxies, passwords, certificates written into the file) is left to it, and so is all
that is wrong: what there is no access by here, `cluster.client` asks the official client for, or for its complaint.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from engine.documents import Source, parse_manifests

KUBECONFIG = "~/.kube/config"
"""Kubectl's, where nothing else is said."""
_TLS = {"certificate-authority": "ca_certs", "client-certificate": "cert_file", "client-key": "key_file"}
"""Files that a kubeconfig names, and the arguments of a pool of connections that they are."""
_CLUSTER = frozenset(("server", "certificate-authority", "certificate-authority-data", "extensions"))
_USER = frozenset(("token", "tokenFile", "client-certificate", "client-key", "extensions"))
_CONTEXT = frozenset(("cluster", "user", "namespace", "extensions"))
"""The fields that are understood here."""


class Access(NamedTuple):
    """The URL of an API server without a slash at its end, the value of the Authorization header as of now (empty
    where there is none), and the arguments with which connections are made."""

    url: str
    authorization: Callable[[], str]
    connecting: Mapping[str, str]


def service_account(folder: Path) -> Access | None:
    """The access of the pod that this process runs in, whose token is read again each time; None if it has none.

    A proxy in the environment makes it one for the official client, and so does what is missing or empty.
    """
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{what}") for what in ("HOST", "PORT"))
    authority = folder / "ca.crt"
    if not host or not port or not _read(authority) or _proxied():
        return None
    authorization = _bearer(folder / "token", "")
    where = f"[{host}]" if ":" in host else host
    return Access(f"https://{where}:{port}", authorization, {"ca_certs": str(authority)}) if authorization else None


def plain_kubeconfig(kubeconfig: str, context: str | None) -> Access | None:
    """The access that one kubeconfig file describes by a context, or its current one; None if it is not plain.

    A `tokenFile` is read again each time, as client-go does, and its token wins over one in the file.
    """
    path = Path(kubeconfig).expanduser()
    text = _read(path)
    if not text or ":" in kubeconfig or _proxied():  # of several files one completes another
        return None
    documents, problems = parse_manifests(Source(kubeconfig, text))
    if problems or len(documents) != 1 or not isinstance(config := documents[0].data, dict):
        return None
    chosen = _named(config, "contexts", context or config.get("current-context"), "context", _CONTEXT)
    server = _named(config, "clusters", chosen.get("cluster"), "cluster", _CLUSTER) if chosen else None
    user = _named(config, "users", chosen["user"], "user", _USER) if chosen and chosen.get("user") else {}
    if not server or user is None:
        return None
    return _plain(server, user, path.absolute().parent)


def _plain(server: Mapping[str, str], user: Mapping[str, str], folder: Path) -> Access | None:
    url = server.get("server", "").rstrip("/")
    if not url.startswith(("http://", "https://")):
        return None
    token = user.get("token", "")
    authorization = _bearer(folder / user["tokenFile"], token) if "tokenFile" in user else _always(token)
    connecting = _connecting(server, user, folder) if url.startswith("https") else {}
    return Access(url, authorization, connecting) if authorization and connecting is not None else None


def _connecting(server: Mapping[str, str], user: Mapping[str, str], folder: Path) -> Mapping[str, str] | None:
    """The arguments that make TLS of a kubeconfig's; None where a file is not there, or an authority can't be read."""
    given = {**server, **user}
    if data := given.pop("certificate-authority-data", ""):
        given.pop("certificate-authority", "")
    files = {_TLS[name]: os.path.normpath(folder / given[name]) for name in _TLS if name in given}
    if not all(map(os.path.isfile, files.values())) or ("cert_file" in files) != ("key_file" in files):
        return None
    if not data:
        return files
    try:
        return {**files, "ca_cert_data": base64.b64decode(data).decode("ascii")}
    except ValueError:
        return None


def _named(
    config: Mapping[str, Any], listed: str, name: object, what: str, known: frozenset[str]
) -> dict[str, str] | None:
    """The one entry of a list in a kubeconfig that has a name; None where it has other fields than are understood."""
    entries = config.get(listed)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return None
    found = [entry.get(what) for entry in entries if entry.get("name") == name]
    if len(found) != 1 or not isinstance(found[0], dict) or not known.issuperset(found[0]):
        return None
    fields = {key: said for key, said in found[0].items() if key != "extensions"}
    return fields if all(isinstance(said, str) and said for said in fields.values()) else None


def _always(token: str) -> Callable[[], str]:
    header = f"Bearer {token}" if token else ""
    return lambda: header


def _bearer(file: Path, token: str) -> Callable[[], str] | None:
    """The header with the token that is in a file now; the last one while it can't be read, or is empty."""
    last = _read(file).strip() or token

    def authorization() -> str:
        nonlocal last
        last = _read(file).strip() or last
        return f"Bearer {last}"

    return authorization if last else None


def _read(file: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text()
    return ""


def _proxied() -> bool:
    """Whether the environment names a proxy, as HTTPS_PROXY does."""
    return any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ)
