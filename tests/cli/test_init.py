"""cli.init: the bundle that `bayplan init` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Bayplan


def test_what_it_makes_passes_check_and_test(bayplan: Bayplan, tmp_path: Path) -> None:
    folder = tmp_path / "my-team"
    assert bayplan("init", folder).status == 0
    checked = bayplan("check", "--strict", folder)
    assert (checked.status, checked.err) == (0, "")
    assert "my-team@0.1.0" in checked.out
    tested = bayplan("test", folder)
    assert tested.status == 0
    assert "all passed" in tested.out


def test_its_example_is_placed_as_its_comments_say(bayplan: Bayplan, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    bayplan("init", folder)
    first = (folder / "examples" / "pod.yaml").read_text().splitlines()[0]
    decision = bayplan(*first.removeprefix("# bayplan ").split(), "-o", "json").json[0]
    assert decision["pools"]["after"] == ["steady"]


def test_nothing_is_overwritten(bayplan: Bayplan, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert bayplan("init", tmp_path / "mine").status == 0
    (tmp_path / "mine" / "bundle.yaml").write_text("precious")
    ran = bayplan("init", tmp_path / "mine")
    assert ran.status == 2
    assert "exists already" in ran.err
    assert (tmp_path / "mine" / "bundle.yaml").read_text() == "precious"


@pytest.mark.parametrize("name", ["My-Team", "a b", "-x", "a" * 64, "äpfel"])
def test_names(bayplan: Bayplan, tmp_path: Path, name: str) -> None:
    ran = bayplan("init", tmp_path / name)
    assert ran.status == 2
    assert f"`{name}` can't be a bundle's name" in ran.err
    assert not (tmp_path / name).exists()
