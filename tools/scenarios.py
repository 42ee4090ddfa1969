"""The inputs of tools/outputs.py: plain files, from fixed seeds, and the list of calls to make with them."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import random
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Json = Any
Call = Sequence[object]
TREE = Path.cwd()
WORLDS, PODS, MISTAKES, ODD_PODS = 1000, 24, 1600, 600
EXPLAIN = ("explain", "-o", "json", "--show-pod")
OUTPUTS = ("text", "json", "yaml")
HEAD = {"apiVersion": "bayplan.dev/v1alpha1"}
SECRET = "hunter2-secret"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Inputs:
    """The folder of inputs, and the calls to make there: a job is a list of calls, made in this order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs: list[Json] = []

    def write(self, path: str, content: object) -> str:
        """A file with a text, or with values as JSON documents, which are YAML too; its path."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else "\n---\n".join(map(json.dumps, content))  # type: ignore[call-overload]
        target.write_text(text, encoding="utf-8")
        return path

    def copy(self, source: Path, path: str) -> str:
        shutil.copytree(source, self.root / path, symlinks=True)
        return path

    def bundle(self, path: str, policies: Mapping[str, Json], **spec: Json) -> str:
        """A bundle of these policies' documents."""
        header = {**HEAD, "kind": "Bundle", "metadata": {"name": "trial"}, "spec": {"version": "1.0.0", **spec}}
        self.write(f"{path}/bundle.yaml", [header])
        for name, document in policies.items():
            self.write(f"{path}/policies/{name}.yaml", [document])
        return path

    def job(self, kind: str, *calls: Call, **more: Json) -> None:
        self.jobs.append({"kind": kind, "calls": [list(map(str, call)) for call in calls], **more})


def make_inputs(root: Path, cases: Path | None, messages: Path | None) -> None:
    """Everything that `record` needs, from fixed seeds."""
    root.mkdir(parents=True)
    to = Inputs(root)
    names = sorted(path.name for path in (TREE / "policies").iterdir() if path.is_dir())
    bundles = {name: to.copy(TREE / "policies" / name, f"samples/{name}") for name in names}
    pods = odd_pods(to, bundles, random.Random(4))
    webhooks(to, bundles, pods, random.Random(5))
    worlds(to)
    mistakes(to, bundles, random.Random(2))
    typed(to, messages)
    samples(to, bundles)
    words(to)
    rules(to)
    expressions(to)
    for case in sorted(path.parent for path in cases.glob("*/bundle")) if cases else ():
        a_case(to, case)
    to.write("calls.jsonl", "".join(json.dumps(job) + "\n" for job in to.jobs))


def samples(to: Inputs, bundles: Mapping[str, str]) -> None:
    """The bundles under policies/, each with its own examples and those of the others, on each of its pools files."""
    for bundle in bundles.values():
        to.job("samples", *(("check", *more, bundle) for more in ((), ("-o", "json"), ("--strict", "-v"))))
        to.job("samples", ("test", bundle), ("test", "-o", "json", bundle), ("test", "--run", "pool", bundle))
        for file in sorted((to.root / bundle / "pools").iterdir()):
            pools = ("--pools", file.relative_to(to.root))
            given = ("--bundle", bundle, *pools)
            to.job("samples", ("check", *pools, "-v", bundle), *(("pools", "-o", o, *pools) for o in OUTPUTS))
            for other in bundles.values():
                pods = f"{other}/examples"
                to.job("samples", (*EXPLAIN, *given, pods), ("audit", "-o", "json", *given, "--pods", pods))
            own = f"{bundle}/examples"
            explain, cluster = ("explain", *given, own), ("--cluster-name", "eu-1", "--cluster-label", "stage=prod")
            to.job("samples", explain, (*explain, "--show-pod"), (*explain, "-o", "json"), (*explain, *cluster))
            to.job("samples", *(("audit", *more, *given, "--pods", own) for more in ((), ("--all",))))
    every = bundles.values()
    to.job("samples", ("check", *every), ("test", *every), ("test", "-o", "json", *every))


COMMANDS = ("init", "check", "test", "explain", "audit", "pools", "serve")
LINES = """
--help|--version|-x|--version x|chekc|frobnicate|''|check nowhere|check G/bundle.yaml|check samples|check .
check -o xml G|check --pools nowhere G|check --cluster-label a G|test --run ( G|test --run 'no such case' G|test nowhere
explain GIVEN nowhere|explain GIVEN G/bundle.yaml|explain GIVEN G/README.md|audit GIVEN|pools --context nowhere
explain GIVEN --namespace nowhere G/examples|explain GIVEN --namespace G/bundle.yaml G/examples|pools --pools nowhere
explain GIVEN --kubeconfig nowhere G/examples|pools --pools G/bundle.yaml|serve --bundle nowhere|serve --bundle G
serve --bundle G --tls-cert x|serve --bundle G --dev --tls-cert x|serve --bundle G --dev --dev-url http://a
serve --bundle G --tls-cert x --tls-key y --dev-url https://a|serve --bundle G --dev --cluster-label a --pools G/pools
serve --bundle G --dev --listen nonsense --pools G/pools|serve --bundle G --dev --mode loud
"""
"""Command lines that are wrong, or only ask; `G` is a sample."""


def words(to: Inputs) -> None:
    """Help, arguments that are wrong, standard input, and what `init` makes."""
    some = "samples/gpu"
    given = ("--bundle", some, "--pools", f"{some}/pools/gke.yaml")
    lines = (line.replace("GIVEN", shlex.join(given)) for line in table(LINES))
    asked: list[Call] = [(), *(shlex.split(re.sub(r"\bG\b", some, line)) for line in lines)]
    asked += [call for name in COMMANDS for call in ((name, "--help"), (name,), (name, "--no-such"))]
    to.job("words", *asked)
    for name, stdin in (("empty", ""), ("not YAML", "a: ["), ("a list", "[1]"), ("secret", f"env: [{SECRET}")):
        to.job("words", ("explain", *given, "-", f"--cluster-name={name}"), ("pools", "--pools", "-"), stdin=stdin)
    stdin = (to.root / some / "examples/training.yaml").read_text()
    to.job("words", ("explain", *given, "-"), ("audit", *given, "--pods", "-"), stdin=stdin)
    new = "fresh/trial"
    called = ("explain", "--bundle", new, "--pools", f"{new}/pools/example.yaml", f"{new}/examples/pod.yaml")
    made: list[Call] = [("init", new), ("init", new), ("check", new), ("test", new), called, (*called, "-o", "json")]
    to.job("init", *made, ("init", "fresh/Not A Name"), ("init", f"{new}/bundle.yaml"), files=new)


def a_case(to: Inputs, case: Path) -> None:
    """A folder with bundle/, pods.yaml, pools.yaml, and perhaps namespaces.yaml, nodes.yaml and args."""
    at = to.copy(case, f"cases/{case.name}")
    more = shlex.split((case / "args").read_text()) if (case / "args").exists() else []
    given = ["--bundle", f"{at}/bundle", "--pools", f"{at}/pools.yaml", *more]
    given += ["--namespace", f"{at}/namespaces.yaml"] if (case / "namespaces.yaml").exists() else []
    explain = ("explain", *given, f"{at}/pods.yaml")
    to.job("cases", explain, (*EXPLAIN, *given, f"{at}/pods.yaml"), ("audit", *given, "--pods", f"{at}/pods.yaml"))
    to.job("cases", ("check", f"{at}/bundle"), ("check", f"{at}/bundle", "--pools", f"{at}/pools.yaml", *more))
    files = ["pools.yaml"] + ["nodes.yaml"] * (case / "nodes.yaml").exists()
    to.job("cases", *(("pools", "-o", o, "--pools", f"{at}/{file}", *more) for file in files for o in OUTPUTS))


def rules(to: Inputs) -> None:
    """The examples of the pages about check's rules."""
    known = importlib.import_module("tests.engine.analysis.test_rules")
    for rule in known.RULES:
        for title in ("Bad", "Good"):
            at, blocks = f"rules/{rule}/{title}", known.section(rule, title)
            for file, text in known.bundle_of(blocks).items():
                to.write(f"{at}/{file}", text)
            if not blocks:
                known.BUILT[rule](to.root / at)
            to.job("rules", ("check", at), ("check", "-v", "-o", "json", at), ("test", at))


EXTRAS: tuple[Json, ...] = (
    {"mode": "audit"},
    {"failurePolicy": "Ignore"},
    {"failurePolicy": "Fail"},
    {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}},
    {"matchConditions": [{"name": "app", "expression": 'pod.metadata.labels["app"] == "web"'}]},
    {"matchConditions": [{"name": "fails", "expression": 'pod.metadata.labels["none"] == "web"'}]},
    {"deny": [{"expression": "has(pod.spec.nodeSelector)", "message": "no node selectors"}]},
    {"deny": [{"expression": 'pod.spec.nodeSelector["tier"] == "gold"'}]},
    {"variables": [{"name": "web", "expression": 'pod.metadata.labels["app"] == "web"'}]},
)


def worlds(to: Inputs) -> None:
    """Random policies on random pools, and random pods, all of a universe so small that everything collides."""
    universe = importlib.import_module("tests.engine.worlds")
    for number in range(WORLDS):
        dice = random.Random(f"world {number}")
        world, at = universe.a_world(dice, nodes=0), f"worlds/{number:04}"
        policies = {one.name: one.document() for one in world.policies}
        for one in policies.values() if number % 3 == 0 else ():
            one["spec"] |= dice.choice(EXTRAS)
        to.bundle(f"{at}/bundle", policies, params={"on": True, "off": False})
        objects = [each for pool in world.pools for each in pool.objects()]
        objects += [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "stray"}, "spec": {}}] * world.strays
        pools = ("--pools", to.write(f"{at}/pools.yaml", objects)) if objects else ()
        pods = [as_manifest(dice, universe.a_pod(dice), serial) for serial in range(PODS)]
        file = to.write(f"{at}/pods.yaml", [{"apiVersion": "v1", "kind": "List", "items": pods}])
        given = ("--bundle", f"{at}/bundle", *pools)
        to.job("worlds", (*EXPLAIN, *given, file))
        if number % 5 == 0:
            to.job("worlds-text", ("explain", *given, file), ("check", "-v", f"{at}/bundle", *pools), ("pools", *pools))
            to.job("worlds-audit", ("audit", "-o", "json", *given, "--pods", file), ("audit", *given, "--pods", file))


WORKLOADS = [("Deployment", "apps"), ("StatefulSet", "apps"), ("DaemonSet", "apps"), ("Job", "batch")]


def as_manifest(dice: random.Random, pod: Json, serial: int) -> Json:
    """The pod, or one time in five a workload that makes such pods."""
    name = f"pod-{serial}"
    if dice.random() < 0.8:
        return {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {**pod["metadata"], "name": name}}
    kind, group = dice.choice(WORKLOADS)
    spec = {"template": {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]}}
    spec |= {"selector": {"matchLabels": pod["metadata"]["labels"]}} if group == "apps" else {}
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name, "namespace": "team"}, "spec": spec}


def table(text: str) -> list[str]:
    """The entries of a table, which `|` or a line's end parts; a `¦` means `|`."""
    return [entry.replace("¦", "|") for entry in text.strip("\n").replace("\n", "|").split("|")]


SLIPS = """
==→=|==→!=|==→=~|==→===|&&→and|&&→&|¦¦→or|!→not |"→'|"→|(→|)→|[?→[|[→(|.?→?.|.→..|, → |: →:|  →\t|{→{{|}→|- →-|-→_
true→True|"true"→true|true→"yes"|null→None|pool.→pools.|node.→nodes.|pod.→object.|pod.→request.object.|params.→param.
node.zone→node.zones|node.zone→node.labels.zone|pool.gpus→pool.gpu|.labels→.label|.orValue("")→|.orValue(→.or(
require:→requires:|require:→validations:|prefer:→preferred:|tolerate:→tolerations:|expression:→cel:|expression:→rule:
message:→msg:|spec:→specs:|metadata:→meta:|kind:→type:|matchLabels:→matchLabel:|matchLabels:→|podSelector:→selector:
 in → IN | in → not in | in → == |exists(→any(|exists(→exist(|exists(c→exists(c =>|.all(→.every(|has(→exists(
topology.kubernetes.io/zone→zone|kubernetes.io/hostname→hostname|NoSchedule→NoSchedul|In→in|Exists→exists|v1alpha1→v1
Fail→fail|enforce→Enforce|audit→dryrun|weight: →weight: -|priority: →priority: a|maxSkew: 1→maxSkew: 0|0→00|1→"1"|1→1.5
"spot"→"SPOT"|"on-demand"→"on_demand"|taint.key→taint.name|taint.key→taints.key|startsWith→startswith|metadata.→meta.
expression: →expression: return |expression: '→expression: "|apiVersion→apiversion|name: →name: Big |size()→length
"""
"""What people write instead of what is right."""


def mistaken(dice: random.Random, text: str) -> str:
    """The text with one mistake more."""
    pairs = [tuple(slip.split("→")) for slip in table(SLIPS)]
    if dice.random() < 0.45:
        old, new = dice.choice([pair for pair in pairs if pair[0] in text] or [("a", "b")])
        at = dice.choice([match.start() for match in re.finditer(re.escape(old), text)] or [0])
        return text[:at] + new + text[at + len(old) :]
    pattern = dice.choice([r"(?s).", r"\w+", r".*\n", r"\s+", r"[^\w\s]", r"(?s)\w+\W+"])
    parts = [match.span() for match in re.finditer(pattern, text)]
    (start, end), (first, last) = dice.choice(parts), dice.choice(parts)
    piece, what = text[start:end], dice.choice(["delete", "twice", "swap", "move"])
    if what == "swap" and end <= first:
        return text[:start] + text[first:last] + text[end:first] + piece + text[last:]
    if what == "move" and end <= first:
        return text[:start] + text[end:first] + piece + text[first:]
    return text[:start] + (piece * 2 if what == "twice" else "") + text[end:]


def mistakes(to: Inputs, bundles: Mapping[str, str], dice: random.Random) -> None:
    """The samples with mistakes: every other time a policy alone, else a whole bundle, then in any of its files."""
    for number in range(MISTAKES):
        bundle, at = dice.choice(sorted(bundles.values())), f"mistakes/{number:04}"
        alone, source = number % 2 == 0, to.root / bundle
        folders = ["policies"] * 4 + ([] if alone else ["tests", "pools", "."])
        file = dice.choice(sorted((source / dice.choice(folders)).glob("*.yaml")))
        text = dice.choice(file.read_text().split("\n---\n")) + "\n" if alone else file.read_text()
        for _ in range(dice.choice([1, 1, 1, 2, 3])):
            text = mistaken(dice, text)
        if alone:
            to.write(f"{at}/bundle.yaml", (source / "bundle.yaml").read_text())
            to.write(f"{at}/policies/p.yaml", text)
            more = [("check", "-o", "json", at)] * (number % 5 == 0)
            to.job("mistakes", ("check", "--pools", f"{bundle}/pools", at), *more)
            continue
        to.copy(source, at)
        (to.root / at / file.relative_to(source)).write_text(text)
        to.job("mistakes", ("check", at), *[("check", "-v", "-o", "json", at)] * (number % 5 == 0))
        if number % 5 == 0 or file.parent.name in ("tests", "pools"):
            given = ("--bundle", at, "--pools", f"{at}/pools")
            to.job("mistakes-test", ("test", at), ("test", "-o", "json", at), (*EXPLAIN, *given, f"{at}/examples"))


TYPED = """
node.arch == "x86_64"|node.os == "Linux"|node.zone == "eu-*"|node.zone =~ "eu-.*"|pool.gpus == "8"|1 < pool.gpus < 5
pool.memory > "64Gi"|pool.memory > 64Gi|params.zones in node.zone|params.zones.includes(node.zone)|pool.labels.has("a")
pod.spec.containers.length > 2|pod.spec.containers.len() > 2|pod.spec.containers.exists(c => c.name == "x")|pool.gpu > 0
pool.labels?.x == "a"|pool.taints.size == 0|pool.labels.scheduling-class == "a"|pool.price == None|node.name == "n1"
node.metadata.labels["a"] == "b"|node.zone == "zone-a" ¦¦ "zone-b"|pool.name.matches("^(?!gpu)")|nodes.exists(n, true)
node.zone !in params.zones|pool.name in ("gpu", "cpu")|pool.name LIKE "gpu%"|return pool.gpus > 0|@Contains(pool.zones)
pool.labels["steady"] == true|not (pool.gpus > 0)|pool.gpus > 0 and true|pool.gpus > 0 == True|pool.name == 'gpu, cpu'
node.labels["gen"] > "5"|double(node.labels["gen"]) > 5.5|int(node.labels["gen"]) >= 5|node.zone.startsWith("eu")|""
true|pod.spec.nodeSelector["disk"] == "ssd"|has(pool.labels["x"])|pool.zones.contains("eu-1a")
userInfo.groups.size() > 0|request.object.metadata.labels.team == "a"|{{ .Values.x }}
pod.spec.containers[_].image == "a"|1/0 > 1|pool|"a"[0] == "a"
"""


def typed(to: Inputs, messages: Path | None) -> None:
    """Mistakes in the bundle that `init` makes: ours, and those that a file of messages shows with line and text."""
    base = "typed/base"
    with contextlib.chdir(to.root), contextlib.redirect_stdout(io.StringIO()):
        assert importlib.import_module("cli.main").main(["init", base]) == 0
    lines = (to.root / base / "policies/critical.yaml").read_text().splitlines()
    place = next(index for index, line in enumerate(lines) if "- expression:" in line) + 1
    edits = [[("policies/critical.yaml", place, f"    - expression: {text}")] for text in table(TYPED)]
    for section in re.split(r"(?m)^### ", messages.read_text())[1:] if messages else ():
        shown = re.findall(r"(?m)^\w+/(\S+?\.yaml):(\d+):\d+: .*\n    (.*)$", section)
        edits.append([(file, int(line), text) for file, line, text in dict.fromkeys(shown)])
    for number, some in enumerate(edits):
        at = to.copy(to.root / base, f"typed/{number:03}")
        for file, line, text in some:
            target = to.root / at / file
            there = target.read_text().splitlines() if target.exists() else []
            there += [""] * (line - len(there))
            there[line - 1] = text
            to.write(f"{at}/{file}", "\n".join(there) + "\n")
        to.job("typed", ("check", "-v", at), ("check", "-o", "json", at), ("test", at))


def expressions(to: Inputs) -> None:
    """Expressions of the documentation and of CEL's tests, and their values: an error names the key that is missing."""
    language, functions = ((TREE / "docs" / name).read_text() for name in ("language.md", "functions.md"))
    for name, shown in zip(("pod", "pools"), re.findall(r"(?ms)^```yaml\n(.*?)^```$", language), strict=False):
        to.write(f"expressions/{name}.yaml", shown)
    lines = "".join(re.findall(r"(?ms)^```cel\n(.*?)^```$", language)).splitlines()
    told = [line.partition(" // ")[0].strip() for line in lines]
    told += re.findall(r"(?m)^\| .* \| `(.*)` \| \S+ \|$", functions)
    files = sorted(TREE.glob("tests/conformance/data/*.json"))
    tests = [test for file in files for some in json.loads(file.read_text()).values() for test in some]
    more = [test["expr"] for test in tests if isinstance(test.get("expr"), str)]
    for number, text in enumerate(dict.fromkeys(filter(None, (*told, *more)))):
        text = text.replace("\\|", "|")
        at, params = f"expressions/{number:04}", {"euZones": ["eu-1a", "eu-1b"], "minimum": 4}
        gpus = [{"name": "gpus", "expression": "2"}]
        field = "require" if re.search(r"\b(pool|node)\b", text) else "deny"
        for name, expression in (("check", text), ("show", f"{{}}[{text}] == 1")):
            rule: Json = {"variables": gpus, "failurePolicy": "Fail", field: [{"expression": expression}]}
            header = {**HEAD, "kind": "PlacementPolicy", "metadata": {"name": "p"}}
            to.bundle(f"{at}/{name}", {"p": {**header, "spec": rule}}, params=params)
        checks = [("check", f"{at}/check")] * (number < len(told))
        given = ("--bundle", f"{at}/show", "--pools", "expressions/pools.yaml")
        to.job("expressions", *checks, ("explain", "-o", "json", *given, "expressions/pod.yaml"))


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
WHO = ("Node v1 n1", "DaemonSet apps/v1 d", "ReplicaSet apps/v1 web-5d4f8c7b9", "Job batch/v1 nightly-28000000")
OWNERS = [dict(zip(("kind", "apiVersion", "name"), who.split(), strict=True)) for who in WHO]
ODDITIES: tuple[tuple[str, Json], ...] = (
    ("metadata", {"labels": {"app": "a b"}}),
    ("metadata", {"labels": {"app": "ü" * 3, "tier": "x" * 64, "": "", "a/b/c": "-"}}),
    ("metadata", {"labels": {"app": 1, "interruptible": True}}),
    ("metadata", {"labels": {"interruptible": "true", "tier": "critical", "workload": "training"}}),
    ("metadata", {"namespace": "kube-system"}),
    ("metadata", {"annotations": {"kubernetes.io/config.mirror": "x"}}),
    ("metadata", {"annotations": {LAST_APPLIED: SECRET}}),
    *(("metadata", {"ownerReferences": [owner]}) for owner in OWNERS),
    ("spec", {"nodeName": "n1"}),
    ("spec", {"hostNetwork": True, "priorityClassName": "system-node-critical"}),
    ("spec", {"schedulerName": "other", "schedulingGates": [{"name": "wait"}], "overhead": {"cpu": "1"}}),
    ("spec", {"nodeSelector": {"kubernetes.io/hostname": "n1", "zone": ""}, "tolerations": [{"operator": "Exists"}]}),
    ("spec", {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 0, "whenUnsatisfiable": "Maybe"}]}),
    ("spec", {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": []}}}}),
    ("container", {"env": [{"name": "TOKEN", "value": SECRET}, {"name": SECRET}]}),
    ("container", {"resources": {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"nvidia.com/gpu": 4}}}),
    ("container", {"resources": {"limits": {"nvidia.com/gpu": "four"}}}),
)
WRONG: tuple[Json, ...] = (None, 7, -1, 1.5, "", "x", True, [], {}, [None], [1], {"a": None}, {"": ""}, 10**20)


def odd_pods(to: Inputs, bundles: Mapping[str, str], dice: random.Random) -> list[Json]:
    """Pods that are unusual or malformed, each in a file of its own and explained with one of the samples."""
    universe, yaml = importlib.import_module("tests.engine.worlds"), importlib.import_module("yaml")
    files = sorted(to.root.glob("samples/*/examples/*.yaml"))
    own = [one for file in files for one in yaml.safe_load_all(file.read_text()) if one["kind"] != "Namespace"]
    pods: list[Json] = []
    for number in range(ODD_PODS):
        pod = dice.choice(own) if dice.random() < 0.6 else as_manifest(dice, universe.a_pod(dice), number)
        pod = copy.deepcopy(pod)
        for _ in range(dice.randint(1, 3)):
            if dice.random() < 0.8:
                place, fields = dice.choice(ODDITIES)
                with contextlib.suppress(AttributeError, IndexError, KeyError, TypeError):
                    (pod["spec"]["containers"][0] if place == "container" else pod[place]).update(copy.deepcopy(fields))
            else:
                spoil(dice, pod)
            if not isinstance(pod.get("kind"), str):
                break
        pods.append(pod)
        file, bundle = to.write(f"pods/{number:03}.yaml", [pod]), dice.choice(sorted(bundles.values()))
        given = ("--bundle", bundle, "--pools", f"{bundle}/pools")
        more = (("explain", "--show-pod", *given, file), ("audit", *given, "--pods", file)) * (number % 4 == 0)
        to.job("pods", (*EXPLAIN, *given, file), *more)
    return pods


def spoil(dice: random.Random, value: Json) -> None:
    """Take something out of a JSON value, or make it something else."""
    places = [(inside, key) for inside in _containers(value) for key in _keys(inside)]
    inside, key = dice.choice(places)
    if dice.random() < 0.3:
        del inside[key]
    else:
        inside[key] = copy.deepcopy(dice.choice(WRONG))


def _containers(value: Json) -> Iterator[Json]:
    if isinstance(value, dict | list):
        yield value
        for key in _keys(value):
            yield from _containers(value[key])


def _keys(value: Json) -> list[Json]:
    return list(value if isinstance(value, dict) else range(len(value)))


def webhooks(to: Inputs, bundles: Mapping[str, str], odd: list[Json], dice: random.Random) -> None:
    """Reviews, sent to five webhooks one after another."""
    universe = importlib.import_module("tests.engine.worlds")
    pods = [as_manifest(dice, universe.a_pod(dice), serial) for serial in range(100)]
    sent = [review(pod, uid=f"r-{serial}") for serial, pod in enumerate([*pods, *odd[:160]])]
    reviews: list[Json] = [{"body": json.dumps(one)} for one in sent]
    good = review(odd[0])
    for number in range(40):
        wrong = copy.deepcopy(good)
        spoil(dice, wrong["request"] if number % 2 else wrong)
        reviews.append({"body": json.dumps(wrong)})
    other: list[Json] = [{"operation": one} for one in ("UPDATE", "DELETE", "CONNECT", "")]
    other += [{"dryRun": True}, {"subResource": "status"}, *({"namespace": name} for name in ("", "kube-system"))]
    other += [{"object": None}, {"resource": {"group": "apps", "resource": "deployments"}}, {"uid": "ü"}]
    reviews += [{"body": json.dumps(review(odd[0], **one))} for one in other]
    whole = json.dumps(good)
    reviews += [{"body": text} for text in ("", "{", "[]", "null", "<html>", whole[:-5], whole + "x", "[" * 9999)]
    reviews += [{"body": whole, "pad": size} for size in (1 << 21, 3 << 20)]
    reviews += [{"body": whole, "type": kind} for kind in ("text/plain", "", "application/json; charset=utf-8", "ü")]
    reviews += [{"body": whole, "path": path} for path in ("/", "/mutate/", "/mutate?timeout=5s", "/metrics", "/docs")]
    reviews += [{"body": "", "method": method} for method in ("GET", "PUT", "HEAD", "OPTIONS")]
    to.write("reviews.json", [reviews])
    for name, sample, flags in (
        ("enforce", "gpu", "--mode enforce --log-decisions all"),
        ("audit", "spot-first", "--mode audit"),
        ("fail", "gpu", "--failure-policy Fail --cluster-name eu --cluster-label a=b"),
        ("own", "tenant-isolation", "--namespace team --dev-namespace default --dev-url https://example.com:9/"),
        ("off", "scheduling-classes", "--mode off --log-decisions none"),
    ):
        to.job("webhook", (name, bundles[sample], *flags.split()))


def review(pod: Json, **more: Json) -> Json:
    """The creation of a pod as the API server sends it."""
    spec, metadata = (pod.get(part) if isinstance(pod.get(part), dict) else {} for part in ("spec", "metadata"))
    template = spec.get("template")
    request = {
        "uid": "3f0c1a52",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": metadata.get("namespace") or "default",
        "operation": "CREATE",
        "userInfo": {"username": "u", "groups": ["g"]},
        "object": {**template, "kind": "Pod"} if isinstance(template, dict) else pod,
        "dryRun": False,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**request, **more}}
