"""IP addresses and networks, as in Kubernetes' ip and cidr libraries (Go's net/netip)."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import final

from engine.language.overload import Overload
from engine.language.types import BOOL, INT, STRING, Type
from engine.language.values import CelError, Opaque, quoted
from engine.struct import Struct

IP_TYPE, CIDR_TYPE = Type("net.IP"), Type("net.CIDR")
_PREFIX = re.compile(r"(0|[1-9][0-9]{0,2})\Z")
_LONGEST = 64  # characters of an address


@final
class Ip(Struct, Opaque, frozen=True):
    """An address."""

    address: IPv4Address | IPv6Address

    type_name = "net.IP"


@final
class Cidr(Struct, Opaque, frozen=True):
    """An address and the length of its network's prefix in bits; the bits after the prefix may be set."""

    address: IPv4Address | IPv6Address
    bits: int

    type_name = "net.CIDR"


def ip(text: str) -> Ip:
    """Reads an address; one with a zone, or an IPv4 address in IPv6 clothes, is refused."""
    try:
        address = ip_address(text) if len(text) <= _LONGEST and text.isascii() else None
    except ValueError:
        address = None
    if address is None:
        raise CelError(f"{quoted(text)} is not an IP address")
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise CelError(f"the IP address {quoted(text)} has a zone, which is not allowed")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise CelError(f"the IPv4-mapped IPv6 address {quoted(text)} is not allowed")
    return Ip(address)


def is_ip(text: str) -> bool:
    try:
        ip(text)
    except CelError:
        return False
    return True


def ip_to_string(value: Ip) -> str:
    return str(value.address)


def is_canonical(text: str) -> bool:
    """Whether an address is written the one way in which it is printed. Raises CelError if it is none."""
    return ip_to_string(ip(text)) == text


def family(value: Ip) -> int:
    return value.address.version


def is_unspecified(value: Ip) -> bool:
    return int(value.address) == 0


def is_loopback(value: Ip) -> bool:
    return value.address.is_loopback


def is_link_local_multicast(value: Ip) -> bool:
    number = int(value.address)
    return number >> 8 == 0xE00000 if family(value) == 4 else (number >> 112) & 0xFF0F == 0xFF02


def is_link_local_unicast(value: Ip) -> bool:
    return value.address.is_link_local


def is_global_unicast(value: Ip) -> bool:
    """Everything that is not one of the special kinds; private addresses are."""
    broadcast = family(value) == 4 and int(value.address) == 0xFFFFFFFF
    special = is_unspecified(value) or is_loopback(value) or value.address.is_multicast or is_link_local_unicast(value)
    return not broadcast and not special


def cidr(text: str) -> Cidr:
    """Reads a network: address, slash, length of the prefix."""
    address, slash, length = text.rpartition("/")
    if not slash or not _PREFIX.match(length):
        raise CelError(f"{quoted(text)} is not a network: write an address, a slash and the length of the prefix")
    value = ip(address)
    if int(length) > value.address.max_prefixlen:
        raise CelError(f"{quoted(text)} is not a network: the prefix is longer than the address")
    return Cidr(value.address, int(length))


def is_cidr(text: str) -> bool:
    try:
        cidr(text)
    except CelError:
        return False
    return True


def cidr_to_string(value: Cidr) -> str:
    return f"{value.address}/{value.bits}"


def _network(address: IPv4Address | IPv6Address, bits: int) -> int:
    return int(address) >> (address.max_prefixlen - bits)


def contains_ip(network: Cidr, value: Ip | str) -> bool:
    address = (ip(value) if isinstance(value, str) else value).address
    same = address.version == network.address.version
    return same and _network(address, network.bits) == _network(network.address, network.bits)


def contains_cidr(network: Cidr, value: Cidr | str) -> bool:
    inner = cidr(value) if isinstance(value, str) else value
    return network.bits <= inner.bits and contains_ip(network, Ip(inner.address))


def cidr_ip(value: Cidr) -> Ip:
    return Ip(value.address)


def prefix_length(value: Cidr) -> int:
    return value.bits


def masked(value: Cidr) -> Cidr:
    """The network with all bits after the prefix cleared."""
    spare = value.address.max_prefixlen - value.bits
    return Cidr(type(value.address)(int(value.address) >> spare << spare), value.bits)


def _tests() -> list[Overload]:
    table = (
        ("isUnspecified", "ip_is_unspecified", is_unspecified, "0.0.0.0"),
        ("isLoopback", "ip_is_loopback", is_loopback, "127.0.0.1"),
        ("isLinkLocalMulticast", "ip_is_link_local_multicast", is_link_local_multicast, "224.0.0.1"),
        ("isLinkLocalUnicast", "ip_is_link_local_unicast", is_link_local_unicast, "169.254.169.254"),
        ("isGlobalUnicast", "ip_is_global_unicast", is_global_unicast, "10.0.0.1"),
    )
    return [
        Overload(function, name, (IP_TYPE,), BOOL, test, method=True, library="ip", example=f'ip("{ex}").{function}()')
        for function, name, test, ex in table
    ]


OVERLOADS: tuple[Overload, ...] = (
    Overload("ip", "string_to_ip", (STRING,), IP_TYPE, ip, library="ip", example='ip("::1") == ip("0:0::1")'),
    Overload("isIP", "is_ip", (STRING,), BOOL, is_ip, library="ip", example='isIP("10.0.0.1") && !isIP("10.0.0.256")'),
    Overload("ip.isCanonical", "ip_is_canonical", (STRING,), BOOL, is_canonical, library="ip",
             example='ip.isCanonical("2001:db8::1") && !ip.isCanonical("2001:DB8::1")'),
    Overload("family", "ip_family", (IP_TYPE,), INT, family, method=True, library="ip",
             example='ip("10.0.0.1").family() == 4'),
    Overload("string", "ip_to_string", (IP_TYPE,), STRING, ip_to_string, library="ip",
             example='string(ip("0:0::1")) == "::1"'),
    *_tests(),
    Overload("cidr", "string_to_cidr", (STRING,), CIDR_TYPE, cidr, library="cidr",
             example='cidr("10.0.0.0/8") == cidr("10.0.0.0/8")'),
    Overload("isCIDR", "is_cidr", (STRING,), BOOL, is_cidr, library="cidr",
             example='isCIDR("10.0.0.0/8") && !isCIDR("10.0.0.0")'),
    Overload("containsIP", "cidr_contains_ip_string", (CIDR_TYPE, STRING), BOOL, contains_ip, method=True,
             library="cidr", example='cidr("10.0.0.0/8").containsIP("10.1.2.3")'),
    Overload("containsIP", "cidr_contains_ip_ip", (CIDR_TYPE, IP_TYPE), BOOL, contains_ip, method=True,
             library="cidr", example='!cidr("10.0.0.0/8").containsIP(ip("11.1.2.3"))'),
    Overload("containsCIDR", "cidr_contains_cidr_string", (CIDR_TYPE, STRING), BOOL, contains_cidr, method=True,
             library="cidr", example='cidr("10.0.0.0/8").containsCIDR("10.1.0.0/16")'),
    Overload("containsCIDR", "cidr_contains_cidr", (CIDR_TYPE, CIDR_TYPE), BOOL, contains_cidr, method=True,
             library="cidr", example='!cidr("10.1.0.0/16").containsCIDR(cidr("10.0.0.0/8"))'),
    Overload("ip", "cidr_ip", (CIDR_TYPE,), IP_TYPE, cidr_ip, method=True, library="cidr",
             example='cidr("10.0.0.0/8").ip() == ip("10.0.0.0")'),
    Overload("prefixLength", "cidr_prefix_length", (CIDR_TYPE,), INT, prefix_length, method=True, library="cidr",
             example='cidr("10.0.0.0/8").prefixLength() == 8'),
    Overload("masked", "cidr_masked", (CIDR_TYPE,), CIDR_TYPE, masked, method=True, library="cidr",
             example='cidr("10.1.2.3/8").masked() == cidr("10.0.0.0/8")'),
    Overload("string", "cidr_to_string", (CIDR_TYPE,), STRING, cidr_to_string, library="cidr",
             example='string(cidr("10.0.0.0/8")) == "10.0.0.0/8"'),
)  # fmt: skip
