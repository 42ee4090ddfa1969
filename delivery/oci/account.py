"""What a registry is shown: from a folder of credentials, or from the configuration that `docker login` writes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from delivery.credentials import Credentials
from delivery.oci.reference import DOCKER_HUB, Reference

HUB_KEYS = ("docker.io", "index.docker.io", "registry-1.docker.io")


class Account(NamedTuple):
    """What is shown to a registry, or to whom it sends us for a token. Empty is what there is not.

    `refresh` is an identity token, which is exchanged for others; `token` is shown as it is. `helper` names a program
    that keeps the credentials, and is not run.
    """

    username: str = ""
    password: str = ""
    refresh: str = ""
    token: str = ""
    helper: str = ""

    @property
    def known(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.username or self.password or self.refresh or self.token)

    @property
    def basic(self) -> str:
        """The header Authorization with name and password, empty without them."""
        if not self.username and not self.password:
            return ""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return "Account(…)"


def account_for(reference: Reference, credentials: Credentials) -> Account:
    """Name, password and token of the folder itself, else what its Docker configuration has for the registry.

    Raises ValueError where that is no such configuration.
    """
    if credentials.username or credentials.password or credentials.token:
        return Account(credentials.username, credentials.password, token=credentials.token)
    return _from_docker(reference, credentials.docker) if credentials.docker else Account()


def _from_docker(reference: Reference, data: str) -> Account:
    try:
        configuration = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("the Docker configuration is no JSON") from None
    if not isinstance(configuration, dict):
        raise ValueError("the Docker configuration is no JSON object")
    accounts = {_place(key): entry for key, entry in _items(configuration, "auths") if isinstance(entry, dict)}
    for place in _places(reference):
        account = _account(accounts[place], place) if place in accounts else Account()
        if account.known:
            return account
    helpers = {_place(key): helper for key, helper in _items(configuration, "credHelpers") if isinstance(helper, str)}
    store = configuration.get("credsStore")
    helper = next((helpers[place] for place in _places(reference) if place in helpers), store)
    return Account(helper=helper) if isinstance(helper, str) else Account()


def _items(value: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    found = value.get(key)
    yield from found.items() if isinstance(found, dict) else ()


def _place(key: str) -> str:
    """A key of `auths` as registry and path: some have a scheme, and the version of an API at the end."""
    bare = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    return bare.removesuffix("/v1").removesuffix("/v2")


def _places(reference: Reference) -> Iterator[str]:
    """Under which keys the account may stand: the repository first, then what it is in, then the registry."""
    registries = HUB_KEYS if reference.registry == DOCKER_HUB else (reference.registry,)
    for registry in registries:
        parts = reference.repository.split("/")
        yield from ("/".join((registry, *parts[:count])) for count in range(len(parts), -1, -1))


def _account(entry: Mapping[str, Any], place: str) -> Account:
    said = {key: value for key, value in entry.items() if isinstance(value, str)}
    username, password = said.get("username", ""), said.get("password", "")
    if "auth" in said and not username:
        try:
            username, _, password = base64.b64decode(said["auth"], validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            raise ValueError(f"`auth` of `{place}` in the Docker configuration is no base64 of a text") from None
    password = password.rstrip("\0")
    refresh, token = said.get("identitytoken", ""), said.get("registrytoken", "")
    if not all(text.isprintable() for text in (username, password, refresh, token)):
        raise ValueError(f"the entry of `{place}` in the Docker configuration holds a character that does not show")
    return Account(username, password, refresh, token)
