"""The flows laid out as a picture: bars on both sides, ribbons between them. Coordinates are whole tenths of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from audit.report.flows import DENIED, OTHER, PENDING, Flow, Where, folded, totals_of

WIDTH, TALL = 960, 440
"""The picture's width, and the height of all pods together, in pixels."""
LEFT, RIGHT, BAR = 200, 748, 12
"""Where the bars stand, and how wide they are."""
SLOT, GAP, TOP = 18, 8, 34
"""The least height that a bar's label needs, what is left free between two bars, and above all of them."""
MOST = 14
"""So many pools have a bar of their own."""

Course = Literal["stays", "moves", "pending", "denied"]


class Side(NamedTuple):
    """A bar and what it is about; `middle` is where its label stands."""

    where: Where
    pods: float
    x: float
    y: float
    height: float
    middle: float


class Ribbon(NamedTuple):
    """A flow as the path of an SVG."""

    flow: Flow
    course: Course
    path: str


class Picture(NamedTuple):
    width: int
    height: float
    sources: list[Side]
    targets: list[Side]
    ribbons: list[Ribbon]


def picture_of(flows: Sequence[Flow]) -> Picture:
    """The picture of flows; pools are in the same order on both sides, those with the most pods first."""
    flows = folded(flows, MOST)
    order = sorted((one.where for one in totals_of(flows)), key=lambda where: where in (OTHER, PENDING, DENIED))
    scale = TALL / max(1.0, sum(flow.pods for flow in flows))
    sources = _side(order, {where: sum(f.pods for f in flows if f.source == where) for where in order}, LEFT, scale)
    targets = _side(order, {where: sum(f.pods for f in flows if f.target == where) for where in order}, RIGHT, scale)
    bottom = max((max(side.y + side.height, side.middle + SLOT / 2) for side in (*sources, *targets)), default=TOP)
    return Picture(WIDTH, _tenth(bottom + GAP), sources, targets, _ribbons(flows, order, sources, targets, scale))


def course_of(flow: Flow) -> Course:
    """What becomes of the pods of a flow."""
    if flow.target in (PENDING, DENIED):
        return "pending" if flow.target == PENDING else "denied"
    return "stays" if flow.source == flow.target else "moves"


def _side(order: list[Where], pods: dict[Where, float], x: float, scale: float) -> list[Side]:
    sides, y = [], float(TOP)
    for where in order:
        if not pods[where]:
            continue
        height = max(1.0, pods[where] * scale)
        slot = max(height, SLOT)
        top = y + (slot - height) / 2
        sides.append(Side(where, pods[where], x, _tenth(top), _tenth(height), _tenth(y + slot / 2)))
        y += slot + GAP
    return sides


def _ribbons(
    flows: Sequence[Flow], order: list[Where], sources: list[Side], targets: list[Side], scale: float
) -> list[Ribbon]:
    """Each from where the one before it ends, on either side, so that those of a bar lie in the order of the others;
    what stays lies below all that moves."""
    rank = {where: number for number, where in enumerate(order)}
    starts = {side.where: side.y for side in sources}
    ends = {side.where: side.y for side in targets}
    found: list[Ribbon] = []
    tops: dict[tuple[Where, Where], float] = {}
    for flow in sorted(flows, key=lambda one: (rank[one.target], rank[one.source])):
        tops[flow.source, flow.target] = ends[flow.target]
        ends[flow.target] += flow.pods * scale
    for flow in sorted(flows, key=lambda one: (rank[one.source], rank[one.target])):
        start, end = starts[flow.source], tops[flow.source, flow.target]
        found.append(Ribbon(flow, course_of(flow), _path(start, end, max(0.7, flow.pods * scale))))
        starts[flow.source] += flow.pods * scale
    return sorted(found, key=lambda one: one.course != "stays")


def _path(start: float, end: float, height: float) -> str:
    a, b, m = LEFT + BAR, RIGHT, (LEFT + BAR + RIGHT) // 2
    s, e = _tenth(start), _tenth(end)
    t, f = _tenth(start + height), _tenth(end + height)
    return f"M{a} {s:g}C{m} {s:g} {m} {e:g} {b} {e:g}V{f:g}C{m} {f:g} {m} {t:g} {a} {t:g}Z"


def _tenth(number: float) -> float:
    return round(number, 1)
