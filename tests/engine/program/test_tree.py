"""engine.program.tree: how expressions hang together."""

from __future__ import annotations

from engine.program import Both, Choice, Leaf, Not, leaves_of


def test_every_leaf_of_a_tree_is_found() -> None:
    a, b, c, d = (Leaf(number, reads_pod=False, reads_pool=True) for number in range(4))
    assert list(leaves_of(Choice(Not(a), Both(b, Not(c)), d))) == [a, b, c, d]
