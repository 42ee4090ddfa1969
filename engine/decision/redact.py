"""A decision without what its errors quote of the pod's environment."""

from __future__ import annotations

from engine.decision.decision import Decision, Portion
from engine.pods import reads_environment, redactor, withheld
from engine.program import CompiledPolicy, Program
from engine.struct import replace


def may_read_environment(policy: CompiledPolicy, program: Program) -> bool:
    """Whether a policy, or an exemption from it, may read a pod's environment."""
    exempting = [one.exemption.match_conditions for one in program.exemptions if one.covers(policy.name)]
    said = [*policy.policy.excerpts, *(named.excerpt for conditions in exempting for named in conditions)]
    return any(reads_environment(excerpt.value) for excerpt in said)


def redacted(decision: Decision, telling: frozenset[str]) -> Decision:
    """The decision without what its errors quote of the pod's environment; `telling` are the policies that may read it.

    What these say may be made of it in any way, so nothing is left but where it is.
    """
    quiet = redactor(decision.incoming.pod)
    told = [outcome.error for outcome in decision.policies if outcome.error and outcome.name in telling]

    def hide(text: str) -> str:
        for error in told:
            text = text.replace(error, withheld(error))
        return quiet(text)

    return replace(
        decision,
        message=hide(decision.message),
        policies=tuple(
            policy._replace(message=hide(policy.message), error=hide(policy.error)) for policy in decision.policies
        ),
        warnings=tuple(hide(warning) for warning in decision.warnings),
        audited=None if decision.audited is None else redacted(decision.audited, telling),
        portions=tuple(Portion(one.percent, redacted(one.decision, telling)) for one in decision.portions),
    )
