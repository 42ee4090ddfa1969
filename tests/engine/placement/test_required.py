"""engine.placement.required: node selector terms of a pod are paid for before anybody looks at what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.placement.required import meanings, pay_for_terms
from tests.engine.builders import pod


class Spent(Exception):  # noqa: N818 - a limit, named as one
    """There is nothing left."""


class Purse:
    """Pays as long as there is something left."""

    def __init__(self, units: int) -> None:
        self.left = units

    def spend(self, units: int, /) -> None:
        self.left -= units
        if self.left < 0:
            raise Spent


class Unread(list[Any]):
    """What must not be looked at: how long it is, and no more."""

    def __iter__(self) -> Iterator[Any]:
        raise AssertionError("it was looked at")


def term(expressions: int, values: int, operator: str = "In") -> dict[str, Any]:
    said = [f"v{n}" for n in range(values)]
    return {"matchExpressions": [{"key": f"k{n}", "operator": operator, "values": said} for n in range(expressions)]}


def price(terms: list[dict[str, Any]], beside: int = 0) -> int:
    purse = Purse(10**9)
    pay_for_terms(terms, purse, beside)
    return 10**9 - purse.left


def test_the_price_grows_with_terms_expressions_values_and_what_stands_beside() -> None:
    assert price([term(1, 2)] * 2) == 2 * price([term(1, 2)])
    assert price([term(2, 1)]) > price([term(1, 1)])
    assert price([term(1, 9)]) > price([term(1, 1)])
    assert price([term(1, 1)], 1000) >= price([term(1, 1)]) + 500


def test_not_in_on_one_key_is_cheaper_than_on_many() -> None:
    one_key = [{"key": "k", "operator": "NotIn", "values": [f"v{n}"]} for n in range(9000)]
    many_keys = [{"key": f"k{n}", "operator": "NotIn", "values": [f"v{n}"]} for n in range(9000)]
    assert 3 * price([{"matchExpressions": one_key}]) < price([{"matchExpressions": many_keys}])


def test_too_many_terms_are_refused_before_any_is_looked_at() -> None:
    terms = Unread([term(1, 1)] * 1000)
    with pytest.raises(Spent):
        pay_for_terms(terms, Purse(100))


def test_too_many_expressions_are_refused_before_any_is_looked_at() -> None:
    with pytest.raises(Spent):
        pay_for_terms([{"matchExpressions": Unread(term(1000, 1)["matchExpressions"])}], Purse(100))


def test_the_labels_of_a_node_selector_are_paid_for_too() -> None:
    with pytest.raises(Spent):
        meanings(pod(nodeSelector={f"k{n}": "v" for n in range(1000)}), Purse(1000))
