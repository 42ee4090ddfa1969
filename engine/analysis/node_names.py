"""Pods that name their node, where a bundle refuses such pods, but not all of which its policies require something.

Whoever names a node goes around the scheduler, and so around what policies require: only `deny` judges such a pod.
A bundle that never speaks of node names is told nothing, for that may be somebody else's to refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import islice
from typing import NamedTuple

from engine.analysis.candidate_pods import Candidate, asked_of, candidate_for
from engine.analysis.ledger import Ledger
from engine.analysis.witness import Wanted, selected, with_value
from engine.bundle import Expression
from engine.decision import Decider
from engine.documents import Problem
from engine.language import Budget
from engine.nodeselector import LabelStates
from engine.program import CompiledPolicy

NODE_NAME = ("pod", "spec", "nodeName")
MAX_PODS = 24
"""So many pods are tried for one policy."""
NAMED = 3
"""So many policies are named in a message."""


class Slip(NamedTuple):
    """A policy that requires something, and a pod of it that names its node and is not refused."""

    policy: CompiledPolicy
    candidate: Candidate


def undenied_node_names(active: Sequence[CompiledPolicy], decider: Decider, ledger: Ledger) -> Iterator[Problem]:
    """Warns of the first `deny` about node names, if pods slip by it of which other policies require something."""
    denying = [(policy, item) for policy in active for item in _about_node_names(policy)]
    if not denying:
        return
    judges = list(dict.fromkeys(policy.name for policy, _ in denying))
    policies = [policy for policy in active if policy.name in judges]
    slips = ledger.each(
        "whether its pods may name their node was not found out",
        [policy for policy in active if _confines(policy)],
        lambda policy: islice(_slips(policy, policies, decider, ledger.meter), 1),
    )
    if slips:
        yield _problem(*denying[0], slips)


def _about_node_names(policy: CompiledPolicy) -> Iterator[Expression]:
    """The entries of `deny` that read the name of a node."""
    by_place = {str(item.excerpt.whole): item for item in policy.policy.deny}
    for one in policy.deny:
        if any(path[: len(NODE_NAME)] == NODE_NAME for path in one.reads):
            yield by_place[one.place]


def _confines(policy: CompiledPolicy) -> bool:
    return bool(policy.require) or any(share.strict for share in policy.split)


def _slips(policy: CompiledPolicy, judges: Sequence[CompiledPolicy], decider: Decider, meter: Budget) -> Iterator[Slip]:
    """Pods that a policy is about, that name their node, and that nothing refuses."""
    bases = asked_of(policy.policy, decider.program, meter)
    outside = [met for base in bases[:1] for one in _outside(judges) if (met := base & one) is not None]
    for wanted in islice([*bases[:1], *outside, *bases[1:]], MAX_PODS):
        named = with_value(wanted, NODE_NAME, "some-node")
        rolled_out = dict.fromkeys((policy.policy, *(one.policy for one in judges)))
        candidate = named and candidate_for(named, rolled_out, meter)
        if candidate and _passes(policy, candidate, decider, meter):
            yield Slip(policy, candidate)


def _outside(judges: Iterable[CompiledPolicy]) -> Iterator[Wanted]:
    """What a pod must be for the selectors of these policies to miss it: all of them by one label, then each."""
    missing: dict[tuple[str, str], list[LabelStates]] = {}
    for judge in judges:
        wanted = selected(judge.policy)
        for side, states in (("labels", wanted.labels), ("namespace", wanted.namespace)) if wanted else ():
            for key, values in states.items():
                missing.setdefault((side, key), []).append(~values)
    for (side, key), each in missing.items():
        for values in dict.fromkeys((reduce(LabelStates.__and__, each), *each)):
            if not values.impossible:
                yield Wanted(labels={key: values}) if side == "labels" else Wanted(namespace={key: values})


def _passes(policy: CompiledPolicy, candidate: Candidate, decider: Decider, meter: Budget) -> bool:
    """Whether a policy is about a pod that names its node, and no policy refuses it, in whatever mode."""
    if candidate.incoming.namespace_name in decider.left_alone:
        return False
    evaluations = decider.evaluations(candidate.incoming, meter)
    refused = any(
        each.outcome == "denied" or (each.outcome == "failed" and each.policy.deny and _fails_closed(each.policy))
        for each in evaluations
    )
    return not refused and any(each.policy is policy and each.outcome == "applied" for each in evaluations)


def _fails_closed(policy: CompiledPolicy) -> bool:
    return policy.policy.failure_policy == "Fail"


def _problem(judge: CompiledPolicy, item: Expression, slips: Sequence[Slip]) -> Problem:
    names = [f"`{slip.policy.name}`" for slip in slips]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    told = [*names[:NAMED], *more]
    those = f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]
    message = f"pods that {those} {'are' if len(told) > 1 else 'is'} about may name their node all the same, and so go "
    message += f"around what {'they require' if len(told) > 1 else 'it requires'}"
    hint = (
        f"{slips[0].candidate.words} is allowed: let `{judge.name}` be about it, or say this `deny` in {names[0]}, too"
    )
    return Problem("undenied-node-name", message, item.excerpt.whole, hint=hint, severity="warning")
