"""Which proxy leads to a host, as the environment says it: HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping


def proxy_for(host: str, port: int, environment: Mapping[str, str]) -> str:
    """The address of the proxy for https to a host; empty where it is asked directly."""
    proxy = _said(environment, "https_proxy") or _said(environment, "all_proxy")
    if not proxy or any(_covers(entry, host, port) for entry in _said(environment, "no_proxy").split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by what it is called."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _said(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY means a host: a name with all below it, an address, a network, or `*`."""
    entry, host = entry.strip().lower(), host.lower().rstrip(".")
    if entry in ("", "*"):
        return entry == "*"
    if "/" in entry:
        return _is_in(host, entry)
    name, _, said = entry.rpartition(":")
    if name and said.isdigit() and (":" not in name or name.endswith("]")):
        if int(said) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").strip(".")
    return host == entry or host.endswith(f".{entry}")


def _is_in(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
