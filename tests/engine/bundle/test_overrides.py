"""engine.bundle.overrides: what a cluster lays over a bundle's constants fits what it replaces, or is pointed at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.bundle import Bundle, overridden, parse_bundle
from engine.documents import BundleError, Source


def bundle(params: dict[str, Any]) -> Bundle:
    head = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "test"}}
    found, _ = parse_bundle({"bundle.yaml": json.dumps({**head, "spec": {"version": "1.0.0", "params": params}})})
    assert found is not None
    return found


def laid_over(params: dict[str, Any], over: dict[str, Any]) -> Any:
    return overridden(bundle(params), [Source("--param", json.dumps(over))]).params


SCALARS: list[Any] = ["a", 1, 1.5, True]


@pytest.mark.parametrize("own", [*SCALARS, ["a"], {"k": 1}, [[1]], {"k": ["a"]}])
def test_like_takes_the_place_of_like(own: Any) -> None:
    assert laid_over({"x": own, "y": 0}, {"x": own}) == {"x": own, "y": 0}
    for other in [*SCALARS, ["a"], {"k": 1}, [1], None]:
        if type(other) is type(own) or (own == 1.5 and other == 1):
            continue
        with pytest.raises(BundleError, match="the schema says otherwise"):
            laid_over({"x": own}, {"x": other})


@pytest.mark.parametrize("over", [*SCALARS, ["a"], {"k": 1}, None])
@pytest.mark.parametrize("beside", [{}, {"y": "b"}])
def test_of_null_nothing_is_known_and_anything_takes_its_place(over: Any, beside: dict[str, Any]) -> None:
    assert laid_over({"x": None, **beside}, {"x": over}) == {"x": over, **beside}
    if beside:
        assert laid_over({"x": None, **beside}, {"y": "c"}) == {"x": None, "y": "c"}


@pytest.mark.parametrize("own", [[], {}, [None], {"k": None}, [1, "a"]])
def test_of_what_has_nothing_in_common_anything_fits_inside(own: Any) -> None:
    for inside in SCALARS:
        over = [inside] if isinstance(own, list) else {"k": inside}
        assert laid_over({"x": own}, {"x": over}) == {"x": over}


def test_what_is_no_constant_is_told() -> None:
    with pytest.raises(BundleError, match="bundle `test` has no constant `mots`"):
        laid_over({"most": 1}, {"mots": 2})
    with pytest.raises(BundleError, match="has no constant"):
        laid_over({}, {"x": 2})
