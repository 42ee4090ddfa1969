"""PodFacts: what is the same for all policies on one pod, its labels and the budget; and the policies' variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.documents import RequestError
from engine.evaluation.culprit import TELLING
from engine.evaluation.pool_facts import Inputs, PoolFacts
from engine.evaluation.verdicts import Verdict
from engine.language import Budget, CelError, fresh
from engine.placement import labels_of
from engine.pods import IncomingPod, quantities_in, requests_of
from engine.program import Arguments, CompiledPolicy, Function

INVENTORY_BUDGET = 200_000
"""What one policy may spend on what is the same for every pod, in units of `engine.language.Budget` (about 0.5 µs)."""

POLICY_BUDGET = 90_000
"""What one policy may spend on one pod, in the same units: about 45 ms."""

REQUEST_BUDGET = 90_000
"""What all policies together may spend on one pod: no more than one alone."""

COMBINING_BUDGET = 70_000
"""What combining them may spend at most, and writing what they come to, of what evaluating them has left: 35 ms."""

LEAST_FOR_COMBINING = 15_000
"""What combining them may spend beside what is left: a policy that took all must not fail those that were decided.
Where some are audited, all are combined once more, with as much: what audit says must be what enforcing would do."""


class Variables(dict[str, object]):
    """A policy's variables: each is computed when it is first read. One that fails raises its CelError at each read."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        super().__init__()
        self.functions = functions
        self.arguments: Arguments = ()
        self._errors: dict[str, CelError] = {}

    def __missing__(self, name: str) -> object:
        if name in self._errors:
            raise fresh(self._errors[name])
        try:
            value = self[name] = self.functions[name](*self.arguments, None)
        except CelError as error:
            self._errors[name] = fresh(error)
            raise
        return value


NO_VARIABLES = Variables({})

QUANTITY = 16
"""What reading one quantity of a pod takes from the budget, in units: about 4 µs."""


class Requests:
    """What the scheduler will count for a pod, computed when it is first asked for, at the expense of who asks.

    A call raises CelError for a quantity that is none, at each call, and BudgetExceeded. `telling` pays for saying for
    which fields policies fail (`culprit.py`): of what expressions are called with, this alone is the request's own.
    """

    __slots__ = ("_found", "_pod", "telling")

    def __init__(self, pod: Mapping[str, Any]) -> None:
        self._pod = pod
        self.telling = Budget(TELLING)
        self._found: Mapping[str, object] | CelError | None = None

    def __call__(self, budget: Budget) -> Mapping[str, object]:
        if self._found is None:
            budget.spend(QUANTITY * (1 + quantities_in(self._pod)))
            try:
                self._found = requests_of(self._pod)
            except RequestError as error:
                self._found = CelError(f"{error.path}: {error.message}")
        if isinstance(self._found, CelError):
            raise fresh(self._found)
        return self._found


class PodFacts:
    """One pod before the policies: what is the same for all of them. Variables are each policy's own.

    Each policy has a budget of at most POLICY_BUDGET, out of what REQUEST_BUDGET leaves. `seen` are the verdicts on
    leaves that read the pod, by the leaf's number. `constants` are the values of `cluster` and `params`; with other
    ones the same pod may have been judged `before`, on the same budget.
    """

    __slots__ = (
        "_apart",
        "_budget",
        "_given",
        "_inputs",
        "_left",
        "_lent",
        "_plain",
        "_shared",
        "incoming",
        "labels",
        "namespace_labels",
        "pool_facts",
        "pool_index",
        "seen",
    )

    def __init__(
        self,
        incoming: IncomingPod,
        pool_facts: PoolFacts,
        constants: tuple[object, ...],
        before: PodFacts | None = None,
    ) -> None:
        self.incoming, self.pool_facts, self.pool_index = incoming, pool_facts, pool_facts.pool_index
        self.labels = labels_of(incoming.pod)
        self.namespace_labels = (incoming.namespace.get("metadata") or {}).get("labels") or {}
        self.seen: dict[int, Verdict] = {}
        self._left, self._given = REQUEST_BUDGET if before is None else before.left, 0
        self._lent = self._left
        self._budget = Budget(0)
        self._apart: list[Budget] = []
        self._plain: tuple[Any, ...] | None = None
        self._inputs: Inputs | None = None
        requests = Requests(incoming.pod)
        self._shared = (incoming.pod, incoming.namespace, incoming.request, requests, NO_VARIABLES, *constants)

    def arguments(self, policy: CompiledPolicy) -> Arguments:
        """The arguments of a policy's functions, with a fresh budget."""
        if not policy.variables:
            # tolerations are evaluated after all policies, on a budget that no other policy spends of
            return (self._fresh_budget(), *self._shared) if policy.tolerate else self.plain_arguments()
        pod, namespace, request, requests, _, *constants = self._shared
        variables = Variables(policy.variables)
        variables.arguments = (self._fresh_budget(), pod, namespace, request, requests, variables, *constants)
        return variables.arguments

    def apart(self) -> Arguments:
        """The arguments of functions that read nothing of the pod: what is the same for every pod is no pod's expense.

        It is done once for an inventory.
        """
        self._apart.append(Budget(INVENTORY_BUDGET))
        return (self._apart[-1], *self._shared)

    @property
    def left(self) -> int:
        """What the request's budget has left, in units."""
        return self._left - self._given + max(0, self._budget.left)

    @property
    def spent(self) -> int:
        """What evaluating policies on this pod has cost so far, in units, what was decided for every pod included."""
        lent = [(self._given, self._budget), *((INVENTORY_BUDGET, budget) for budget in self._apart)]
        return self._lent - self._left + sum(given - max(0, budget.left) for given, budget in lent)

    def plain_arguments(self) -> Arguments:
        """The arguments of functions without variables, with a fresh budget: the last ones if theirs is untouched."""
        if self._plain is None or self._plain[0] is not self._budget or self._budget.left < self._given:
            self._plain = (self._fresh_budget(), *self._shared)
        return self._plain

    def inputs(self, arguments: Arguments) -> Inputs:
        """What expressions are decided with, by these arguments: the last ones if the arguments are the same."""
        if self._inputs is None or self._inputs.arguments is not arguments:
            self._inputs = Inputs(self.pool_facts, arguments, self.seen)
        return self._inputs

    def _fresh_budget(self) -> Budget:
        """A new budget; what the last one has left goes back to the request's."""
        self._left -= self._given - max(0, self._budget.left)
        self._given = max(0, min(POLICY_BUDGET, self._left))
        self._budget = Budget(self._given)
        return self._budget
