"""delivery.oci.account: what a registry is shown."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from delivery.credentials import Credentials
from delivery.oci.account import Account, account_for
from delivery.oci.reference import Reference

OURS = Reference("registry.example:5000", "team/policies", "1.0.0")
AUTH = base64.b64encode(b"robot:se:cret").decode()


def docker(reference: Reference = OURS, **configuration: Any) -> Account:
    return account_for(reference, Credentials(docker=json.dumps(configuration)))


def test_what_is_in_the_folder_itself_comes_first() -> None:
    other = json.dumps({"auths": {"registry.example:5000": {"auth": AUTH}}})
    assert account_for(OURS, Credentials("a", "b", docker=other)).basic == "Basic YTpi"
    assert account_for(OURS, Credentials(token="t", docker=other)).token == "t"
    assert account_for(OURS, Credentials(docker=other)).username == "robot"
    assert not account_for(OURS, Credentials()).known


@pytest.mark.parametrize(
    "key",
    [
        "registry.example:5000",
        "https://registry.example:5000",
        "http://registry.example:5000/v2/",
        "https://registry.example:5000/v1/",
        "registry.example:5000/team",
        "registry.example:5000/team/policies",
    ],
)
def test_a_registry_is_found_by_what_clients_call_it(key: str) -> None:
    found = docker(auths={key: {"auth": AUTH}, "registry.example": {"auth": "eDp5"}})
    assert (found.username, found.password) == ("robot", "se:cret")


@pytest.mark.parametrize(
    "key", ["registry.example", "registry.example:5000/teams", "registry.example:5000/team/policies/x"]
)
def test_another_registry_gets_nothing(key: str) -> None:
    assert not docker(auths={key: {"auth": AUTH}}).known


def test_the_nearest_one_counts() -> None:
    auths = {"registry.example:5000": {"username": "a", "password": "b"}, "registry.example:5000/team": {"auth": AUTH}}
    assert docker(auths=auths).username == "robot"


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"])
def test_docker_hub_has_three_names(key: str) -> None:
    assert docker(Reference("docker.io", "team/policies", "1"), auths={key: {"auth": AUTH}}).username == "robot"


def test_tokens() -> None:
    assert docker(auths={"registry.example:5000": {"auth": AUTH, "identitytoken": "i"}}).refresh == "i"
    assert docker(auths={"registry.example:5000": {"registrytoken": "r"}}).token == "r"


def test_a_helper_is_named_and_not_run() -> None:
    assert docker(auths={"registry.example:5000": {}}, credsStore="desktop") == Account(helper="desktop")
    found = docker(credHelpers={"registry.example:5000": "ecr-login"}, credsStore="desktop")
    assert found == Account(helper="ecr-login")
    assert not found.known


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        json.dumps({"auths": {"registry.example:5000": {"auth": "%"}}}),
        json.dumps({"auths": {"registry.example:5000": {"auth": base64.b64encode(b"\xff:a").decode()}}}),
        json.dumps({"auths": {"registry.example:5000": {"username": "a\r\nX: y", "password": "se:cret"}}}),
    ],
)
def test_what_is_no_configuration_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="Docker configuration") as caught:
        account_for(OURS, Credentials(docker=text))
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    "configuration", [{}, {"auths": []}, {"auths": {"registry.example:5000": 7}}, {"credsStore": 7}]
)
def test_what_says_nothing_of_a_registry_says_nothing(configuration: dict[str, Any]) -> None:
    assert docker(**configuration) == Account()


def test_nothing_of_it_is_shown() -> None:
    assert "cret" not in repr(docker(auths={"registry.example:5000": {"auth": AUTH}}))
