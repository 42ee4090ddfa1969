"""engine.bundle.reader: what documents say, and how it is told what is wrong with them."""

from __future__ import annotations

from itertools import permutations

import pytest

from engine.bundle.fields import POLICY
from engine.bundle.model import Bundle, Expression, PodTerm, Policy, Preference, Revision, Spread, digest
from engine.bundle.reader import POLICY_EFFECTS, parse_bundle
from engine.bundle.selector import EVERYTHING, LabelRequirement, Selector
from engine.documents import Problem, Source

BUNDLE = """\
apiVersion: bayplan.dev/v1alpha1
kind: Bundle
metadata: {name: sample}
spec: {version: 1.2.0}
"""
HEAD = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementPolicy
metadata: {name: one}
spec:
"""
REQUIRE = "  require: [{expression: 'true'}]\n"


def parse(policy: str = "", bundle: str = BUNDLE, **files: str) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """The sample bundle with one policy, whose spec is given, indented by two."""
    named = {name.replace("__", "/") + ".yaml": text for name, text in files.items()}
    return parse_bundle({"bundle.yaml": bundle, "policies/p.yaml": HEAD + (policy or REQUIRE), **named})


def good(policy: str = "", bundle: str = BUNDLE, **files: str) -> Bundle:
    parsed, problems = parse(policy, bundle, **files)
    assert problems == ()
    assert parsed is not None
    return parsed


def policy_of(policy: str) -> Policy:
    (found,) = good(policy).policies
    return found


def said(policy: str) -> list[str]:
    """The problems of a policy: rule, and the text that is pointed at."""
    _, problems = parse(policy)
    return [f"{p.rule}: {p.span.source.text[p.span.start : p.span.end]}" for p in problems]


# What is read


def test_every_field_of_a_policy() -> None:
    policy = policy_of(
        """\
  description: all of it
  podSelector: {matchLabels: {b: "2", a: "1"}}
  namespaceSelector: {matchExpressions: [{key: team, operator: Exists}]}
  matchConditions: [{name: not-debug, expression: 'c'}]
  variables: [{name: gpus, expression: 'v'}]
  require:
    - expression: r
      message: because
  prefer:
    - expression: p
      weight: 60
    - expression: q
      score: 50
  fallback: [{expression: f}]
  tolerate: [{expression: t}]
  spread:
    - topologyKey: zone
      maxSkew: 2
      whenUnsatisfiable: DoNotSchedule
      minDomains: 3
      labelSelector: {matchLabels: {app: x}}
      matchLabelKeys: [rev]
      nodeAffinityPolicy: Honor
      nodeTaintsPolicy: Ignore
  podAffinity: [{topologyKey: host, required: true, namespaces: [a], namespaceSelector: {}}]
  podAntiAffinity: [{topologyKey: host, weight: 50, matchLabelKeys: [app]}]
  deny: [{expression: d, message: no}]
  whenEmpty: warn
  failurePolicy: Fail
  mode: audit
  rollout: 25
  priority: -7
"""
    )
    a, b = (LabelRequirement(key, "In", (value,)) for key, value in (("a", "1"), ("b", "2")))
    assert policy.pod_selector == Selector((a, b))
    assert policy.namespace_selector == Selector((LabelRequirement("team", "Exists"),))
    assert [(n.name, n.excerpt.value) for n in policy.match_conditions + policy.variables] == [
        ("not-debug", "c"),
        ("gpus", "v"),
    ]
    assert (policy.require[0].excerpt.value, policy.require[0].message) == ("r", "because")
    assert [(p.expression.excerpt.value, p.weight, p.score and p.score.value) for p in policy.prefer] == [
        ("p", 60, None),
        ("q", None, "50"),
    ]
    tolerated = tuple(entry.expression for entry in policy.tolerate)
    assert [e.excerpt.value for e in policy.fallback + tolerated + policy.deny] == ["f", "t", "d"]
    assert policy.spread == (
        Spread("zone", 2, "DoNotSchedule", {"matchLabels": {"app": "x"}}, ("rev",), 3, "Honor", "Ignore"),
    )
    assert policy.pod_affinity == (PodTerm("host", required=True, namespaces=("a",), namespace_selector={}),)
    assert policy.pod_anti_affinity == (PodTerm("host", match_label_keys=("app",), weight=50),)
    rest = (policy.description, policy.when_empty, policy.failure_policy, policy.mode, policy.rollout, policy.priority)
    assert rest == ("all of it", "warn", "Fail", "audit", 25, -7)


def test_what_is_left_out_has_its_default() -> None:
    policy = policy_of(REQUIRE)
    assert (policy.pod_selector, policy.namespace_selector) == (EVERYTHING, EVERYTHING)
    rest = (policy.when_empty, policy.failure_policy, policy.mode, policy.rollout, policy.priority)
    assert rest == ("deny", "Fail", "enforce", 100, 0)
    assert (policy.prefer, policy.spread, policy.deny) == ((), (), ())


def test_a_bundle_with_all_its_fields() -> None:
    bundle = good(
        bundle="""\
apiVersion: bayplan.dev/v1alpha1
kind: Bundle
metadata: {name: sample, labels: {team: a}, annotations: {note: "x y"}}
spec:
  version: 1.2.0-rc.1+build.5
  description: d
  requires: {bayplan: ">=0.1", kubernetes: ">=1.30"}
  mode: audit
  params: {zones: [a, b], nested: {x: 1, y: 1.5, z: null}, on: true}
  workloadLabels: [spark-app-selector]
"""
    )
    assert bundle.workload_labels == ("spark-app-selector",)
    assert (bundle.name, bundle.version, bundle.description, bundle.mode) == (
        "sample",
        "1.2.0-rc.1+build.5",
        "d",
        "audit",
    )
    assert bundle.requires == {"bayplan": ">=0.1", "kubernetes": ">=1.30"}
    assert bundle.params == {"zones": ["a", "b"], "nested": {"x": 1, "y": 1.5, "z": None}, "on": True}


def test_an_expression_knows_its_place() -> None:
    (policy,) = good("  require:\n    - expression: >-\n        pool.a &&\n        pool.b\n").policies
    excerpt = policy.require[0].excerpt
    assert excerpt.value == "pool.a && pool.b"
    assert str(excerpt.span(10, 16)) == "policies/p.yaml:8:9"


def test_scalars_that_are_no_text_are_expressions_all_the_same() -> None:
    policy = policy_of("  require: [{expression: true}]\n  prefer: [{expression: true, score: 50}]\n")
    assert policy.require == (Expression(policy.require[0].excerpt),)
    assert policy.require[0].excerpt.value == "true"
    assert policy.prefer == (Preference(policy.prefer[0].expression, None, policy.prefer[0].score),)


def test_policies_are_sorted_and_found_in_all_their_places() -> None:
    def named(name: str) -> str:
        return HEAD.replace("one", name) + REQUIRE

    files = {
        "bundle.yaml": BUNDLE + "---\n" + named("d"),
        "policies/deep/x.yml": named("c") + "---\n" + named("a"),
        "more.yaml": named("b"),
        "pools/x.yaml": "kind: Whatever",
        "teams/ml/x.YAML": named("e"),
        "policy/f.json": '{"apiVersion": "bayplan.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": "f"}, '
        '"spec": {"require": [{"expression": "true"}]}}',
        "examples/y.yaml": TEST.replace("cases", "shown") + CASES,
    }
    bundle, problems = parse_bundle(files)
    assert problems == ()
    assert bundle is not None
    assert [test.name for test in bundle.tests] == ["shown"]
    assert [policy.name for policy in bundle.policies] == ["a", "b", "c", "d", "e", "f"]
    assert [source.name for source in bundle.sources] == sorted(files)
    assert bundle.source("pools/x.yaml") == Source("pools/x.yaml", "kind: Whatever")
    assert bundle.source("pools/y.yaml") is None


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("deploy/pod.yaml", "kind: Pod\n", "warning stray-document 1"),
        ("deploy/all.yaml", "# all\nkind: Pod\n---\nkind: Service\n", "warning stray-document 2"),
        ("package.json", '{"name": "x"}', "error missing-field 1"),
        ("web/package.json", '{"name": "x"}', "warning stray-document 1"),
        ("more/list.yaml", "kind: List\nitems: []\n", "warning stray-document 1"),
        ("more/fleet.yaml", "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\n", "warning stray-document 2"),
        ("more/typo.yaml", "apiVersion: bayplan.dev/v1alpha1\nkind: PlacementPolcy\n", "error unknown-kind 2"),
        ("more/both.yaml", HEAD.replace("one", "b") + REQUIRE + "---\nkind: Pod\n", "error unknown-kind 7"),
        ("chart/x.yaml", "a: {{ .Values.x }}\nb: c\n", "error key-type 1"),
        ("more/aliased.yaml", "a: &a 1\nb: *a\n", "error yaml-alias 1, error yaml-alias 2"),
        ("more/empty.yaml", "", "error empty-file 1"),
        ("more/none.yaml", "# later\n", "warning empty-file 1"),
        ("more/scalar.yaml", "text\n", "warning stray-document 1"),
        ("examples/pod.yaml", "kind: Pod\n", ""),
        ("examples/fleet.yaml", "apiVersion: bayplan.dev/v1alpha1\nkind: Inventory\n", "warning stray-document 2"),
        ("examples/scalar.yaml", "text\n", "warning stray-document 1"),
    ],
)
def test_what_is_not_of_a_bundle_is_told(name: str, text: str, expected: str) -> None:
    """A file that a test names is its data, and nothing is said of it."""
    files = {"bundle.yaml": BUNDLE, "policies/p.yaml": HEAD + REQUIRE, name: text}
    bundle, problems = parse_bundle(files)
    assert bundle is not None
    assert ", ".join(f"{p.severity} {p.rule} {p.span.line}" for p in problems) == expected
    if "PlacementPol" not in text:
        use = TEST + "  pools: " + name + "\n" + CASES
        assert parse_bundle({**files, "tests/t.yaml": use})[1] == ()


def test_what_may_be_left_out_says_how() -> None:
    for text in ("kind: Pod\n", "a: [\n"):
        _, (problem,) = parse_bundle({"bundle.yaml": BUNDLE, "policies/p.yaml": HEAD + REQUIRE, "x/y.yaml": text})
        assert problem.hint == "if it is not of the bundle, name it in `.bayplanignore`"


def test_a_folder_of_bundles_is_none() -> None:
    files = {"a/bundle.yaml": BUNDLE, "a/policies/p.yaml": HEAD, "b/bundle.yaml": BUNDLE}
    bundle, (problem,) = parse_bundle(files)
    assert bundle is None
    assert problem.message == "there is no `bundle.yaml`, but in folders below"
    assert problem.expected == "one bundle: `a`, `b`"
    _, problems = parse_bundle({"bundle.yaml": BUNDLE, "policies/p.yaml": HEAD + REQUIRE, "a/bundle.yaml": BUNDLE})
    assert [f"{p.span}: {p.rule}" for p in problems] == ["a/bundle.yaml:3:18: duplicate-name"]


def test_order_of_files_does_not_matter() -> None:
    files = {
        "bundle.yaml": BUNDLE,
        "policies/a.yaml": HEAD + REQUIRE,
        "policies/b.yaml": HEAD.replace("one", "two") + REQUIRE,
    }
    results = [parse_bundle(dict(order)) for order in permutations(files.items())]
    assert all(result == results[0] for result in results)


# Revisions


def test_a_revision_changes_with_any_byte_of_any_file_and_with_names() -> None:
    sources = [Source("a", "1"), Source("b", "2")]
    changed = [[Source("a", "12"), Source("b", "")], [Source("a", "1"), Source("c", "2")], [Source("a", "1")], []]
    assert digest(sources) == digest(sources[::-1])
    assert len({digest(sources), *(digest(each) for each in changed)}) == 5


def test_how_a_revision_is_written() -> None:
    assert str(Revision("a", "1.2.0", "0123456789abcdef")) == "a@1.2.0+sha256:01234567"
    revision = good().revision
    assert (revision.name, revision.version, len(revision.digest)) == ("sample", "1.2.0", 64)


# What is wrong with a policy


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  requre: []\n", ["no-effect: one", "unknown-field: requre"]),
        ("  description: nothing\n", ["no-effect: one"]),
        ("  require: yes\n", ["wrong-type: yes"]),
        ("  require:\n", ["wrong-type: "]),
        ("  require: [x]\n", ["wrong-type: x"]),
        ("  require: [{expression: ''}]\n", ["empty-expression: ''"]),
        ("  require: [{expression: [1]}]\n", ["wrong-type: [1]"]),
        ("  require: [{message: x}]\n", ["missing-field: message"]),
        ("  require: [{expression: x, message: 1}]\n", ["wrong-type: 1"]),
        ("  require: [{expression: x, mesage: y}]\n", ["unknown-field: mesage"]),
        ("  prefer: [{expression: x}]\n", ["weight-or-score: expression"]),
        ("  prefer: [{expression: x, weight: 1, score: y}]\n", ["weight-or-score: score"]),
        ("  prefer: [{expression: x, weight: 0}]\n", ["out-of-range: 0"]),
        ("  prefer: [{expression: x, weight: 101}]\n", ["out-of-range: 101"]),
        ("  prefer: [{expression: x, weight: '5'}]\n", ["wrong-type: '5'"]),
        ("  prefer: [{expression: x, weight: 1.5}]\n", ["wrong-type: 1.5"]),
        ("  prefer: [{expression: x, weight: true}]\n", ["wrong-type: true"]),
        ("  prefer: [{expression: x, weight: 010}]\n", ["ambiguous-number: 010"]),
        (REQUIRE + "  rollout: 101\n", ["out-of-range: 101"]),
        (REQUIRE + "  rollout: -1\n", ["out-of-range: -1"]),
        (REQUIRE + "  priority: 3000000000\n", ["out-of-range: 3000000000"]),
        (REQUIRE + "  mode: Audit\n", ["unknown-word: Audit"]),
        (REQUIRE + "  mode: [off]\n", ["wrong-type: [off]"]),
        (REQUIRE + "  whenEmpty: refuse\n", ["unknown-word: refuse"]),
        (REQUIRE + "  failurePolicy: fail\n", ["unknown-word: fail"]),
        (REQUIRE + "  variables: [{name: a-b, expression: x}]\n", ["name: a-b"]),
        (REQUIRE + "  variables: [{name: namespace, expression: x}]\n", ["name: namespace"]),
        (REQUIRE + "  variables: [{name: a, expression: x}, {name: a, expression: y}]\n", ["duplicate-name: a"]),
        (REQUIRE + "  matchConditions: [{name: 'a b', expression: x}]\n", ["name: 'a b'"]),
        (REQUIRE + "  matchConditions: [{name: a, expression: x}, {name: a, expression: x}]\n", ["duplicate-name: a"]),
        (REQUIRE + "  podSelector: {app: x}\n", ["unknown-field: app"]),
        (REQUIRE + "  podSelector: {matchLabels: {app: 1}}\n", ["wrong-type: 1"]),
        (REQUIRE + "  podSelector: {matchLabels: {'a b': x}}\n", ["label-key: 'a b'"]),
        (REQUIRE + "  podSelector: {matchLabels: {a: 'x y'}}\n", ["label-value: 'x y'"]),
        (
            REQUIRE + "  podSelector: {matchExpressions: [{key: a, operator: In}]}\n",
            ["selector-values: {key: a, operator: In}"],
        ),
        (
            REQUIRE + "  podSelector: {matchExpressions: [{key: a, operator: NotIn, values: []}]}\n",
            ["selector-values: []"],
        ),
        (
            REQUIRE + "  podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}\n",
            ["selector-values: [b]"],
        ),
        (
            REQUIRE + "  podSelector: {matchExpressions: [{key: a, operator: Gt, values: ['1']}]}\n",
            ["unknown-word: Gt"],
        ),
    ],
)
def test_wrong_policies(spec: str, expected: list[str]) -> None:
    assert said(spec) == expected


SHARES = "  split: [{share: %s, expression: x}, {share: 30, expression: y}]\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (SHARES % "60", ["split-sum: split"]),
        (SHARES % "80", ["split-sum: split"]),
        (SHARES % "70.5", ["wrong-type: 70.5"]),
        (SHARES % "'70'", ["wrong-type: '70'"]),
        (SHARES % "101", ["out-of-range: 101", "split-sum: split"]),
        (SHARES % "-1", ["out-of-range: -1", "split-sum: split"]),
        ("  split: []\n", ["empty-list: []"]),
        ("  split: [{share: 100}]\n", ["missing-field: share"]),
        ("  split: [{expression: x}]\n", ["missing-field: expression"]),
        ("  split: [{share: 100, expression: x, weight: 5}]\n", ["unknown-field: weight"]),
        ("  split: [{share: 100, expression: x, whenUnsatisfiable: Never}]\n", ["unknown-word: Never"]),
        (
            "  split: [{share: 70, expression: x, whenUnsatisfiable: ScheduleAnyway}, {share: 30, expression: y}]\n",
            ["mixed-split: share"],
        ),
        (
            "  split: [{share: 70, expression: x}, {share: 30, expression: y, whenUnsatisfiable: ScheduleAnyway}]\n",
            ["mixed-split: whenUnsatisfiable"],
        ),
    ],
)
def test_mistakes_in_splits(spec: str, expected: list[str]) -> None:
    assert sorted(said(spec)) == expected


def test_a_split_with_all_its_fields() -> None:
    policy = policy_of(
        """\
  split:
    - {share: 100, expression: x, message: m, whenUnsatisfiable: ScheduleAnyway}
    - {share: 0, expression: y, whenUnsatisfiable: ScheduleAnyway}
"""
    )
    shares = [(share.percent, share.expression.excerpt.value, share.expression.message) for share in policy.split]
    assert (shares, [share.strict for share in policy.split]) == ([(100, "x", "m"), (0, "y", "")], [False, False])
    assert [excerpt.value for excerpt in policy.excerpts] == ["x", "y"]


def test_a_strict_split_fails_by_default() -> None:
    soft = SHARES.replace("}", ", whenUnsatisfiable: ScheduleAnyway}") % "70"
    assert policy_of(SHARES % "70").failure_policy == "Fail"
    assert policy_of(f"{SHARES % '70'}  failurePolicy: Ignore\n").failure_policy == "Ignore"
    assert policy_of(soft).failure_policy == "Ignore"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  require: [{expression: x}]\n", "Fail"),
        ("  deny: [{expression: x}]\n", "Fail"),
        ("  prefer: [{expression: x, weight: 1}]\n  deny: [{expression: x}]\n", "Fail"),
        ("  podAntiAffinity: [{topologyKey: host, required: true}]\n", "Fail"),
        ("  podAffinity: [{topologyKey: host, required: true}, {topologyKey: host, weight: 1}]\n", "Fail"),
        ("  podAffinity: [{topologyKey: host, weight: 1}]\n", "Ignore"),
        ("  prefer: [{expression: x, weight: 1}]\n", "Ignore"),
        ("  fallback: [{expression: x}]\n", "Ignore"),
        ("  tolerate: [{expression: x}]\n", "Ignore"),
        ("  spread: [{topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]\n", "Ignore"),
    ],
)
def test_hard_intents_fail_closed_and_wishes_open_unless_policy_or_bundle_says_otherwise(
    spec: str, expected: str
) -> None:
    """What a policy says counts before what its bundle says, and that before what its intents are."""
    assert policy_of(spec).failure_policy == expected
    for said in ("Fail", "Ignore"):
        bundle, own = BUNDLE.replace("1.2.0", f"1.2.0, failurePolicy: {said}"), "Ignore" if said == "Fail" else "Fail"
        assert good(spec, bundle).policies[0].failure_policy == said
        assert good(f"{spec}  failurePolicy: {own}\n", bundle).policies[0].failure_policy == own


SPREAD = "  spread: [{topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, %s}]\n"
TERM = "  podAntiAffinity: [{topologyKey: host, %s}]\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (SPREAD % "maxSkew: 0", ["out-of-range: 0"]),
        (SPREAD % "maxSkew: 1, minDomains: 2", ["min-domains: minDomains"]),
        (SPREAD % "maxSkew: 1, matchLabelKeys: [a, a]", ["duplicate-value: a"]),
        (SPREAD % "labelSelector: {matchLabels: {a: b}}, matchLabelKeys: [a]", ["label-key-twice: a"]),
        (SPREAD % "nodeAffinityPolicy: honor", ["unknown-word: honor"]),
        ("  spread: [{topologyKey: zone, maxSkew: 1}]\n", ["missing-field: topologyKey"]),
        (
            "  spread: [{whenUnsatisfiable: Soft, maxSkew: 1}]\n",
            ["missing-field: whenUnsatisfiable", "unknown-word: Soft"],
        ),
        (
            "  spread:\n" + 2 * "    - {topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}\n",
            ["duplicate-spread: topologyKey"],
        ),
        (TERM % "weight: 5, required: true", ["weight-or-required: weight"]),
        (TERM % "required: false", ["weight-or-required: required"]),
        (TERM % "namespaces: []", ["weight-or-required: topologyKey"]),
        (TERM % "required: yes", ["wrong-type: yes"]),
        (TERM % "weight: 5, namespaces: [A]", ["name: A"]),
        (
            TERM % "weight: 5, labelSelector: {matchExpressions: [{key: a, operator: Exists}]}, matchLabelKeys: [a]",
            ["label-key-twice: a"],
        ),
        (TERM % "weight: 5, matchLabelKeys: [a, b], mismatchLabelKeys: [b]", ["label-key-twice: b"]),
        (TERM % "weight: 5, mismatchLabelKeys: [b]", ["missing-field: mismatchLabelKeys"]),
        (TERM % "weight: 5, labelSelector: {}, mismatchLabelKeys: ['a b']", ["label-key: 'a b'"]),
        (SPREAD % "labelSelector: {}, mismatchLabelKeys: [a]", ["unknown-field: mismatchLabelKeys"]),
        ("  podAffinity: [{weight: 5}]\n", ["missing-field: weight"]),
        ("  podAffinity: [{weight: 5, topologyKey: 'a b'}]\n", ["label-key: 'a b'"]),
    ],
)
def test_wrong_terms(spec: str, expected: list[str]) -> None:
    assert said(spec) == expected


def test_soft_constraints_on_one_key_with_another_mode_are_two() -> None:
    both = [f"    - {{topologyKey: zone, whenUnsatisfiable: {when}}}\n" for when in ("DoNotSchedule", "ScheduleAnyway")]
    assert len(policy_of("  spread:\n" + "".join(both)).spread) == 2


def test_a_typo_is_shown_with_a_suggestion() -> None:
    _, problems = parse('  require:\n    - expresion: pool.name == "a"\n')
    assert [str(problem) for problem in problems] == [
        "policies/p.yaml:6:7: error: an expression's entry needs `expression` [missing-field]\n"
        '        - expresion: pool.name == "a"\n'
        "          ^^^^^^^^^",
        "policies/p.yaml:6:7: error: `expresion` is not a field of an expression's entry [unknown-field]\n"
        '        - expresion: pool.name == "a"\n'
        "          ^^^^^^^^^\n"
        "  did you mean `expression`?",
    ]


def test_everything_that_is_wrong_is_told_at_once_and_in_order() -> None:
    bundle, problems = parse(
        "  podSelector: {matchLabel: {a: b}}\n  require:\n  - {expression: ok}\n  - {expression: }\n  rollout: 200\n",
        BUNDLE.replace("1.2.0", "1.2"),
        policies__empty="",
        policies__broken="a: [\n",
    )
    assert [f"{p.span.source.name}:{p.span.line} {p.rule}" for p in problems] == [
        "bundle.yaml:4 wrong-type",
        "policies/broken.yaml:1 yaml-syntax",
        "policies/empty.yaml:1 empty-file",
        "policies/p.yaml:5 unknown-field",
        "policies/p.yaml:8 empty-expression",
        "policies/p.yaml:9 out-of-range",
    ]
    assert bundle is not None
    assert [len(policy.require) for policy in bundle.policies] == [1]


@pytest.mark.parametrize("effect", POLICY_EFFECTS)
def test_one_effect_is_enough(effect: str) -> None:
    items = {
        "spread": "{topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}",
        "prefer": "{expression: x, weight: 1}",
        "split": "{expression: x, share: 100}",
        **dict.fromkeys(("podAffinity", "podAntiAffinity"), "{topologyKey: zone, required: true}"),
    }
    policy_of(f"  {effect}: [{items.get(effect, '{expression: x}')}]\n")


def test_all_effects_are_fields() -> None:
    assert set(POLICY_EFFECTS) <= POLICY.keys()


# What is wrong with documents and files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]\n", ["wrong-type 1"]),
        ("x\n", ["wrong-type 1"]),
        ("apiVersion: bayplan.dev/v1alpha1\n", ["missing-field 1"]),
        ("kind: PlacementPolcy\n", ["unknown-kind 1"]),
        ("kind: Inventory\npools: []\n", ["unknown-kind 1"]),
        ("apiVersion: v1\nkind: Pod\n", ["unknown-kind 2"]),
        (HEAD.replace("v1alpha1", "v1") + REQUIRE, ["unknown-word 1"]),
        (HEAD.replace("{name: one}", "{}") + REQUIRE, ["missing-field 3"]),
        (HEAD.replace("{name: one}", "{name: One_}") + REQUIRE, ["name 3"]),
        (HEAD.replace("{name: one}", "{name: 1}") + REQUIRE, ["wrong-type 3"]),
        (HEAD.replace("metadata: {name: one}\n", "") + REQUIRE, ["missing-field 1"]),
        (HEAD.replace("spec:\n", ""), ["missing-field 1"]),
        (HEAD, ["wrong-type 4"]),
        (HEAD + REQUIRE + "status: {}\n", ["unknown-field 6"]),
        ("a: 1\na: 2\nkind: Bundel\n", ["duplicate-key 2", "unknown-kind 3"]),
        ("\n\n", ["empty-file 1"]),
    ],
)
def test_wrong_documents(text: str, expected: list[str]) -> None:
    _, problems = parse(policies__x=text.replace("{name: one}", "{name: other}"))
    errors = [problem for problem in problems if problem.severity == "error"]
    assert [f"{p.rule} {p.span.line}" for p in errors if p.span.source.name == "policies/x.yaml"] == expected
    assert len(errors) == len(expected)


def test_a_file_of_comments_is_a_warning() -> None:
    bundle, problems = parse(policies__x="# apiVersion: …\n")
    assert [(p.rule, p.severity) for p in problems] == [("empty-file", "warning")]
    assert bundle is not None
    assert bundle.warnings == problems


def test_a_policy_without_a_name_is_looked_at_all_the_same() -> None:
    bundle, problems = parse(policies__x=HEAD.replace("{name: one}", "{}") + "  require: [{expression: x}]\n")
    assert [problem.message for problem in problems] == ["a policy's metadata needs `name`"]
    assert bundle is not None
    assert [(policy.name, len(policy.require)) for policy in bundle.policies] == [("", 1), ("one", 1)]


def test_names_are_unique_across_files() -> None:
    _, problems = parse(policies__q=HEAD + REQUIRE)
    assert [str(problem).splitlines()[0] for problem in problems] == [
        "policies/q.yaml:3:18: error: there are two policies `one`, the first at policies/p.yaml:3:18 [duplicate-name]"
    ]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ["no-bundle"]),
        ({"policies/p.yaml": HEAD + REQUIRE}, ["no-bundle"]),
        ({"bundle.yaml": ""}, ["empty-file"]),
        ({"bundle.yaml": "# later\n"}, ["empty-file"]),
        ({"bundle.yaml": HEAD + REQUIRE}, ["no-bundle"]),
        ({"bundle.yaml": BUNDLE}, ["no-policies"]),
        ({"bundle.yaml": BUNDLE, "other.yaml": BUNDLE + "---\n" + HEAD + REQUIRE}, ["duplicate-name"]),
        ({"bundle.yaml": "a: 1\n" * 300_000}, ["oversize"]),
        ({"bundle.yaml": BUNDLE.replace("kind: Bundle\n", "\tkind: Bundle\n")}, ["yaml-tab"]),
    ],
)
def test_no_bundle(files: dict[str, str], expected: list[str]) -> None:
    _, problems = parse_bundle(files)
    assert [problem.rule for problem in problems] == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("{}", "missing-field: {}"),
        ("{version: 1.2}", "wrong-type: 1.2"),
        ("{version: v1.2.0}", "version: v1.2.0"),
        ("{version: 1.0.0, mode: on}", "unknown-word: on"),
        ("{version: 1.0.0, requires: {python: 3}}", "unknown-field: python"),
        ("{version: 1.0.0, params: [1]}", "wrong-type: [1]"),
        ("{version: 1.0.0, params: {a: 99999999999999999999}}", "out-of-range: 99999999999999999999"),
    ],
)
def test_wrong_bundles(spec: str, expected: str) -> None:
    _, problems = parse(bundle=BUNDLE.replace("{version: 1.2.0}", spec))
    assert [f"{p.rule}: {p.span.source.text[p.span.start : p.span.end]}" for p in problems] == [expected]


def test_params_that_older_yaml_reads_otherwise_are_warned_of() -> None:
    bundle, problems = parse(bundle=BUNDLE.replace("1.2.0}", "1.2.0, params: {a: yes, b: 010, c: 'yes'}}"))
    assert [(p.severity, p.message) for p in problems] == [
        ("warning", "`yes` is text here and `true` in older YAML"),
        ("warning", "`010` is a number here and `8` in older YAML"),
    ]
    assert bundle is not None
    assert bundle.params == {"a": "yes", "b": 10, "c": "yes"}


# Tests that a bundle carries


TEST = """\
apiVersion: bayplan.dev/v1alpha1
kind: PlacementTest
metadata: {name: cases}
spec:
"""
CASES = "  cases: [{name: c, pod: {spec: {}}, expect: {allowed: true}}]\n"


def test_a_test_with_all_its_fields() -> None:
    bundle = good(
        tests__t=TEST
        + """\
  pools: [pools/a.yaml, pools/b.yaml]
  params: {zones: [x]}
  cluster: {name: c1, labels: {env: prod}}
  namespaces: [{metadata: {name: n}}]
  cases:
    - name: first
      pod: {spec: {containers: [{name: a, resources: {limits: {cpu: 0.5}}}]}}
      namespace: n
      request: {userInfo: {username: u}}
      expect: {pools: [a], policies: {one: applied}, overruled: [one], tolerations: []}
    - name: second
      file: examples/p.yaml
      expect: {unchanged: true, message: no}
""",
        pools__a="",
        pools__b="",
        examples__p="",
    )
    (test,) = bundle.tests
    assert (test.name, test.pools, test.params) == ("cases", ("pools/a.yaml", "pools/b.yaml"), {"zones": ["x"]})
    assert (test.cluster, test.namespaces) == (
        {"name": "c1", "labels": {"env": "prod"}},
        ({"metadata": {"name": "n"}},),
    )
    first, second = test.cases
    assert first.pod == {"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": 0.5}}}]}}
    assert (first.namespace, first.request, first.file) == ("n", {"userInfo": {"username": "u"}}, None)
    assert first.expect == {"pools": ["a"], "policies": {"one": "applied"}, "overruled": ["one"], "tolerations": []}
    assert (second.file, second.pod, second.expect) == ("examples/p.yaml", None, {"unchanged": True, "message": "no"})
    assert str(second.span) == "tests/t.yaml:15:13"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("  cases: []\n", "empty-list: []"),
        ("  pools: pools/x.yaml\n" + CASES, "unknown-file: pools/x.yaml"),
        ("  pools: [pools/aa.yaml]\n" + CASES, "unknown-file: pools/aa.yaml"),
        (CASES.replace("{allowed: true}", "{}"), "no-expectation: {}"),
        (CASES.replace("allowed: true", "alowed: true"), "unknown-field: alowed"),
        (CASES.replace("allowed: true", "allowed: maybe"), "wrong-type: maybe"),
        (CASES.replace("allowed: true", "policies: {two: applied}"), "unknown-policy: {two: applied}"),
        (CASES.replace("allowed: true", "policies: {one: apply}"), "unknown-word: apply"),
        (CASES.replace("allowed: true", "overruled: [on]"), "unknown-policy: [on]"),
        (CASES.replace("pod: {spec: {}}", "file: nowhere.yaml"), "unknown-file: nowhere.yaml"),
        (CASES.replace("pod: {spec: {}}, ", ""), "pod-or-file: name"),
        (CASES.replace("pod: {spec: {}}", "pod: {}, file: pools/a.yaml"), "pod-or-file: name"),
    ],
)
def test_wrong_tests(spec: str, expected: str) -> None:
    _, problems = parse(tests__t=TEST + spec, pools__a="")
    assert [f"{p.rule}: {p.span.source.text[p.span.start : p.span.end]}" for p in problems] == [expected]


def test_a_file_that_is_not_there_is_suggested() -> None:
    _, problems = parse(tests__t=TEST + "  pools: pool/a.yaml\n" + CASES, pools__a="")
    assert problems[0].hint == "did you mean `pools/a.yaml`?"
