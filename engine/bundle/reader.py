"""Files to a Bundle: what `bundle.yaml`, `policies/` and `tests/` say, and all that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Literal

from engine.bundle.contact import NOBODY, Contact, contact_in
from engine.bundle.fields import BUNDLE, POLICY, TEST, check_shares, check_unique_names, document_shape
from engine.bundle.model import Bundle, FailurePolicy, Policy, Spread, Test
from engine.bundle.params import Schema, fitted
from engine.bundle.selector import selector
from engine.documents import (
    API_VERSION,
    BAD,
    Bad,
    List,
    Map,
    Problem,
    Problems,
    Read,
    Reading,
    Scalar,
    Source,
    Span,
    Value,
    bad,
    did_you_mean,
    head,
    kind_of,
    ordered,
    parse_documents,
)
from engine.struct import Struct, field, replace

KINDS = ("Bundle", "PlacementPolicy", "PlacementTest")
POOLS = "pools/"
GROUP = f"{API_VERSION.partition('/')[0]}/"
MAX_TOLD = 100
"""Problems that are told of files of which there is too much."""
LEAVE_OUT = "if it is not of the bundle, name it in `.bayplanignore`"
POLICY_EFFECTS = (
    "require",
    "split",
    "prefer",
    "fallback",
    "tolerate",
    "spread",
    "podAffinity",
    "podAntiAffinity",
    "deny",
)


# Documents to values


def _policy(name: str, span: Span, read: Read, spec: Map, problems: Problems) -> Policy:
    if not any(spec.key(effect) for effect in POLICY_EFFECTS):
        effects = ", ".join(f"`{effect}`" for effect in POLICY_EFFECTS)
        named = f"policy `{name}`" if name else "a policy"
        bad(problems, "no-effect", f"{named} does nothing", span, f"at least one of {effects}")
    for each in ("matchConditions", "variables"):
        check_unique_names(spec.get(each), problems)
    split = spec.key("split")
    if split:
        check_shares(spec.get("split"), split.span, problems)
    _unique_constraints(read.get("spread", ()), problems)
    defaults = {key: given.default for key, given in POLICY.items()}
    said = {**defaults, **read}
    policy = Policy(
        name=name,
        span=span,
        description=said["description"],
        pod_selector=selector(said["podSelector"]),
        namespace_selector=selector(said["namespaceSelector"]),
        match_conditions=said["matchConditions"],
        variables=said["variables"],
        require=said["require"],
        split=said["split"],
        prefer=said["prefer"],
        fallback=said["fallback"],
        tolerate=said["tolerate"],
        spread=said["spread"],
        pod_affinity=said["podAffinity"],
        pod_anti_affinity=said["podAntiAffinity"],
        deny=said["deny"],
        when_empty=said["whenEmpty"],
        mode=said["mode"],
        rollout=said["rollout"],
        priority=said["priority"],
    )
    by_intent: FailurePolicy = "Fail" if policy.hard else "Ignore"
    return replace(policy, failure_policy=said["failurePolicy"] or by_intent)


def _unique_constraints(spread: Iterable[Spread], problems: Problems) -> None:
    seen: set[tuple[str, str]] = set()
    for each in spread:
        identity = (each.topology_key, each.when_unsatisfiable)
        if identity in seen and each.span:
            message = f"a second constraint of `{each.topology_key}` with `{each.when_unsatisfiable}`"
            bad(problems, "duplicate-spread", message, each.span, "one, for the API server accepts one of each")
        seen.add(identity)


def _test(name: str, span: Span, read: Read) -> Test:
    said = {**{key: given.default for key, given in TEST.items()}, "cases": (), **read}
    cluster = {key: given for key, given in said["cluster"].items() if given}
    return Test(name, span, said["cases"], said["pools"], said["params"], cluster, said["namespaces"])


class _Stray(Struct, frozen=True):
    """A file none of whose documents is one of a bundle's, and what is wrong with it as YAML."""

    source: Source
    documents: tuple[Value, ...]
    problems: tuple[Problem, ...]

    @property
    def unreadable(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)


class _Found(Struct):
    """What the files of a bundle were found to hold."""

    problems: Problems
    strays: list[_Stray] = field(default_factory=list)
    bundles: list[tuple[str, Span, Read]] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    tests: list[tuple[Test, Map]] = field(default_factory=list)
    contact: Contact = NOBODY  # the bundle's
    outspoken: set[Span] = field(default_factory=set)  # the places of policies that say their own `failurePolicy`

    def take(self, value: Value) -> None:
        kind = _kind(value, self.problems)
        if isinstance(kind, Bad):
            return
        read = document_shape(kind)(value, self.problems)
        if read is BAD or "spec" not in read:
            return
        metadata, span = read.get("metadata", {}), _name_span(value)
        name, contact = metadata.get("name", ""), contact_in(metadata.get("annotations", {}))
        spec, given = read["spec"]
        if kind == "Bundle":
            _fit(spec.get("paramsSchema"), spec, given, self.problems)
            check_unique_names(given.get("exemptions"), self.problems)
            self.bundles.append((name, span, spec))
            self.contact = contact
        elif kind == "PlacementPolicy":
            policy = _policy(name, span, spec, given, self.problems)
            self.policies.append(replace(policy, contact=contact))
            self.outspoken |= {span} if spec.get("failurePolicy") else set()
        else:
            self.tests.append((_test(name, span, spec), given))


def _kind(value: Value, problems: Problems) -> str | Bad:
    if not isinstance(value, Map):
        return bad(problems, "wrong-type", f"the document is {kind_of(value)}", head(value), "a map")
    given = value.get("kind")
    if not isinstance(given, Scalar):
        return bad(problems, "missing-field", "the document needs `kind`", head(value), _kinds())
    if given.text not in KINDS:
        message = f"`{given.text}` is not a kind of document that a bundle holds"
        hint = did_you_mean(given.text, KINDS)
        if given.text == "Inventory":
            hint = "inventories belong into the folder `pools`"
        return bad(problems, "unknown-kind", message, given.span, _kinds(), hint)
    return given.text


def _kinds() -> str:
    return "one of " + ", ".join(f"`{kind}`" for kind in KINDS)


def _name_span(value: Value) -> Span:
    metadata = value.get("metadata") if isinstance(value, Map) else None
    name = metadata.get("name") if isinstance(metadata, Map) else None
    return name.span if name else head(value)


# Files to a bundle


def parse_bundle(files: Mapping[str, str]) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """The bundle that these files make (their names relative to the bundle, with `/`), and everything wrong with it.

    With errors among the problems the bundle lacks what was refused, and is good for looking for more problems only;
    it is None where there is no telling what bundle it is. Documents count wherever they stand but in `pools`, which
    holds inventories; what else is not one of a bundle's documents is data for a test that names the file, and told of
    if none does.
    """
    sources = tuple(Source(name, files[name]) for name in sorted(files))
    found, reading = _Found([]), Reading()
    for source in sources:
        if not source.name.startswith(POOLS):
            _read_file(source, found, reading)
        if reading.spent:
            return None, _too_much(found)
    found.bundles.sort(key=lambda one: "/" in one[1].source.name)
    if found.bundles and "/" in found.bundles[0][1].source.name:
        return None, (_holds_bundles(sources, found.bundles),)
    _judge_strays(found)
    _unique_policies(found)
    known = {policy.name for policy in found.policies}
    for _, _, read in found.bundles:
        for exemption in read.get("exemptions", ()):
            for policy, place in zip(exemption.policies, exemption.spans, strict=False):
                _check_policy(policy, place, known, found.problems)
    schema = next((read["paramsSchema"] for _, _, read in found.bundles if "paramsSchema" in read), None)
    for test, given in found.tests:
        _check_test(test, given, files, known, found.problems)
    found.tests = [(_fit_test(schema, test, given, found.problems), given) for test, given in found.tests]
    bundle = _bundle(sources, found)
    return bundle, ordered(found.problems)


def _too_much(found: _Found) -> tuple[Problem, ...]:
    """That files hold too much, and a part of what else is wrong with them: to tell all would take too long."""
    told = [*found.problems, *(problem for stray in found.strays for problem in stray.problems)]
    said = [problem for problem in told if problem.rule == "too-much-to-read"]
    return ordered([*told[:MAX_TOLD], *(problem for problem in said if problem not in told[:MAX_TOLD])])


def _holds_bundles(sources: Sequence[Source], bundles: Sequence[tuple[str, Span, Read]]) -> Problem:
    """That a folder is no bundle, for bundles are in it."""
    folders = sorted({span.source.name.rpartition("/")[0] for _, span, _ in bundles})
    named = ", ".join(f"`{folder}`" for folder in folders[:5]) + (", …" if len(folders) > 5 else "")
    message, expected = "there is no `bundle.yaml`, but in folders below", f"one bundle: {named}"
    return Problem("no-bundle", message, Span(sources[0], 0, 0), expected)


def _own_place(name: str) -> bool:
    """Whether a file stands where all documents are to be the bundle's."""
    path = PurePosixPath(name)
    return len(path.parts) == 1 or path.parts[0] in ("policies", "tests")


def _read_file(source: Source, found: _Found, reading: Reading) -> None:
    documents, problems = parse_documents(source, reading=reading)
    if reading.spent:
        found.problems += problems
        return
    if any(map(_is_ours, documents)):
        _take_file(documents, problems, found)
    else:
        found.strays.append(_Stray(source, documents, problems))


def _take_file(documents: Iterable[Value], problems: Iterable[Problem], found: _Found) -> None:
    found.problems += problems
    for document in documents:
        found.take(document)


def _is_ours(document: Value) -> bool:
    """Whether a document means to be one of a bundle's: by a kind that only Bayplan has, or by its group."""
    said = [document.get(name) if isinstance(document, Map) else None for name in ("apiVersion", "kind")]
    group, kind = (value.text if isinstance(value, Scalar) else "" for value in said)
    return kind in KINDS or (group.startswith(GROUP) and kind != "Inventory")


def _judge_strays(found: _Found) -> None:
    """Files that hold nothing of a bundle's are data for the tests that name them; all others are told of."""
    named = {name for test, _ in found.tests for name in (*test.pools, *(case.file for case in test.cases))}
    for stray in found.strays:
        if stray.source.name in named:
            continue
        if not stray.documents and not stray.unreadable:
            found.problems += [*stray.problems, _empty(stray.source)]
        elif _own_place(stray.source.name):
            _take_file(stray.documents, stray.problems, found)
        elif stray.unreadable:
            found.problems += [replace(one, hint=one.hint or LEAVE_OUT) for one in stray.problems]
        elif not _is_example(stray):
            found.problems.append(_not_ours(stray.documents[0]))


def _is_example(stray: _Stray) -> bool:
    """Whether a file shows objects that policies are tried on: Kubernetes' own, in the folder `examples`."""
    kind = stray.documents[0].get("kind") if isinstance(stray.documents[0], Map) else None
    shown = isinstance(kind, Scalar) and kind.text not in ("", "Inventory")
    return shown and PurePosixPath(stray.source.name).parts[0] == "examples"


def _empty(source: Source) -> Problem:
    only_comments = bool(source.text.strip())
    message = "the file holds comments only" if only_comments else "the file is empty"
    severity: Literal["error", "warning"] = "warning" if only_comments else "error"
    return Problem("empty-file", message, Span(source, 0, 0), severity=severity)


def _not_ours(document: Value) -> Problem:
    """The warning about a file, for its first document."""
    kind = document.get("kind") if isinstance(document, Map) else None
    text = kind.text if isinstance(kind, Scalar) else ""
    what = f"`{text}` is not a kind of document that a bundle holds" if text else "this is not a document of a bundle"
    span = kind.span if kind else head(document)
    hint = "inventories belong into the folder `pools`" if text == "Inventory" else LEAVE_OUT
    return Problem("stray-document", f"{what}, and no test names the file", span, hint=hint, severity="warning")


def _unique_policies(found: _Found) -> None:
    first: dict[tuple[str, str], Span] = {}
    named = [("policy", policy.name, policy.span) for policy in found.policies]
    for what, name, span in [*named, *(("test", test.name, test.span) for test, _ in found.tests)]:
        earlier = first.setdefault((what, name), span)
        if name and earlier is not span:
            bad(
                found.problems,
                "duplicate-name",
                f"there are two {_plural(what)} `{name}`, the first at {earlier}",
                span,
            )


def _plural(what: str) -> str:
    return "policies" if what == "policy" else f"{what}s"


def _fit(schema: Schema | None, read: Read, given: Map, problems: Problems) -> None:
    """Constants as their schema wants them."""
    params = given.get("params") or Map((), head(given))
    fit = BAD if schema is None else fitted(schema, read.get("params", {}), params, problems)
    if not isinstance(fit, Bad):
        read["params"] = fit


def _fit_test(schema: Schema | None, test: Test, given: Map, problems: Problems) -> Test:
    params = given.get("params")
    if schema is None or params is None:
        return test
    fit = fitted(schema, test.params, params, problems, partial=True)
    return test if isinstance(fit, Bad) else replace(test, params=fit)


def _check_test(test: Test, given: Map, files: Mapping[str, str], policies: set[str], problems: Problems) -> None:
    """A test names files of the bundle and policies of it."""
    pools = given.get("pools")
    for item in pools.items if isinstance(pools, List) else (pools,):
        if isinstance(item, Scalar):
            _check_file(item.text, item.span, files, problems)
    for case in test.cases:
        if case.file is not None:
            _check_file(case.file, case.spans["file"], files, problems)
        for field_name in ("policies", "overruled", "shares"):
            for name in case.expect.get(field_name, ()):
                _check_policy(name, case.spans[field_name], policies, problems)


def _check_policy(name: str, span: Span, known: set[str], problems: Problems) -> None:
    if name not in known:
        bad(problems, "unknown-policy", f"there is no policy `{name}`", span, hint=did_you_mean(name, known))


def _check_file(name: str, span: Span, files: Mapping[str, str], problems: Problems) -> None:
    if name not in files:
        message = f"the bundle has no file `{name}`"
        expected = "a path relative to the bundle, of a file that `.bayplanignore` does not name"
        bad(problems, "unknown-file", message, span, expected, did_you_mean(name, files))


def _bundle(sources: tuple[Source, ...], found: _Found) -> Bundle | None:
    problems = found.problems
    for name, span, _ in found.bundles[1:]:
        bad(problems, "duplicate-name", f"a second bundle `{name}`, the first at {found.bundles[0][1]}", span)
    if not found.bundles:
        named = next((source for source in sources if source.name == "bundle.yaml"), None)
        if named is None:
            where = Span(sources[0] if sources else Source("bundle.yaml", ""), 0, 0)
            bad(
                problems,
                "no-bundle",
                "there is no `bundle.yaml`",
                where,
                "a file `bundle.yaml` with a document `kind: Bundle`",
            )
        elif not any(problem.span.source.name == "bundle.yaml" for problem in problems):
            bad(problems, "no-bundle", "there is no document `kind: Bundle`", Span(named, 0, 0))
        return None
    name, span, read = found.bundles[0]
    if not found.policies and not any(problem.severity == "error" for problem in problems):
        bad(
            problems,
            "no-policies",
            f"bundle `{name}` has no policies",
            span,
            "at least one document `kind: PlacementPolicy`",
        )
    said = {**{key: given.default for key, given in BUNDLE.items()}, "version": "0.0.0", **read}
    default: FailurePolicy | None = said["failurePolicy"]
    policies = [
        replace(
            policy,
            failure_policy=default if default and policy.span not in found.outspoken else policy.failure_policy,
            contact=policy.contact.over(found.contact),
            annotate=said["annotate"],
        )
        for policy in found.policies
    ]
    return Bundle(
        name=name,
        version=said["version"],
        description=said["description"],
        requires={key: given for key, given in said["requires"].items() if given},
        mode=said["mode"],
        params=said["params"],
        params_schema=said["paramsSchema"],
        exemptions=tuple(sorted(said["exemptions"], key=lambda exemption: exemption.name)),
        hands_on=said["handsOn"],
        workload_labels=said["workloadLabels"],
        policies=tuple(sorted(policies, key=lambda policy: policy.name)),
        tests=tuple(sorted((test for test, _ in found.tests), key=lambda test: test.name)),
        sources=sources,
        warnings=ordered(problem for problem in problems if problem.severity == "warning"),
        span=span,
    )
