"""webhook.process: `bayplan serve`, from its arguments to its exit status."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from audit.database import Reader
from audit.kept import WorldParts, kept_decision, unpacked
from tests.audit.test_database import rows_in
from tests.cluster.apiserver import NAMESPACES, NODE_POOLS, ApiServer, Fault, Handler
from tests.delivery import bundles
from tests.e2e.processes import Process
from tests.telemetry.test_otlp import receiving
from tests.waiting import wait_for
from tests.webhook import asking
from tests.webhook.reviews import UID, Json, body, patch_of, pod, review
from webhook.pair import development
from webhook.server import address_of, listen

BAYPLAN = Path(sys.executable).with_name("bayplan")
ADDRESSES = re.compile(r"serving (?P<what>admission|health and metrics) at (?P<url>\S+)")


class Serve:
    """A running `bayplan serve` on free ports."""

    def __init__(self, folder: Path, *arguments: str | Path) -> None:
        self.config = folder / "webhook.yaml"
        token = folder / "token"
        token.write_text("let-me-read\n")
        self.reader = {"authorization": "Bearer let-me-read"}
        ports = ("--listen", "127.0.0.1:0", "--health", "127.0.0.1:0")
        command = [
            BAYPLAN,
            "serve",
            *ports,
            "--dev",
            "--dev-config",
            self.config,
            "--status-token-file",
            token,
            *arguments,
        ]
        self.process = Process(command, folder / "log")
        wait_for(lambda: "serving health" in self.output(), "the webhook to start")
        urls = {match["what"]: match["url"] for match in ADDRESSES.finditer(self.output())}
        self.url, self.plain = urls["admission"], urls["health and metrics"]
        (self.webhook,) = yaml.safe_load(self.config.read_text())["webhooks"]
        self.trusted = ssl.create_default_context()
        self.trusted.load_verify_locations(cadata=base64.b64decode(self.webhook["clientConfig"]["caBundle"]).decode())
        self.client = asking.Client(verify=self.trusted)

    def output(self) -> str:
        assert self.process.exit_status is None, self.process.output()
        return self.process.output()

    def ready(self) -> bool:
        return asking.get(f"{self.plain}/readyz").is_success

    def status(self) -> str:
        """What /readyz says to whom may read it."""
        return asking.get(f"{self.plain}/readyz", headers=self.reader).text

    def create(self, pod: Json, **request: Json) -> Json:
        answer = self.client.post(self.url, content=body(review(pod, **request)), headers=JSON)
        assert answer.status_code == 200, answer.text
        return answer.json()["response"]

    def lines(self) -> list[Json]:
        return [json.loads(line) for line in self.process.output().splitlines() if line.startswith("{")]


JSON = {"content-type": "application/json"}
TRAINEE = pod({"workload": "training"})


@contextlib.contextmanager
def serving(folder: Path, *arguments: str | Path) -> Iterator[Serve]:
    serve = Serve(folder, *arguments)
    try:
        wait_for(serve.ready, "readiness")
        yield serve
    finally:
        serve.client.close()
        serve.process.kill()


def sources(folder: Path) -> list[str | Path]:
    return ["--bundle", bundles.write(folder / "bundle"), "--pools", bundles.write_pools(folder)]


def test_patches_logs_and_ends(tmp_path: Path) -> None:
    with serving(tmp_path, *sources(tmp_path)) as serve:
        assert serve.webhook["clientConfig"]["url"] == serve.url
        response = serve.create(TRAINEE)
        assert patch_of(response)
        wait_for(serve.lines, "the log line")
        (line,) = serve.lines()
        assert line["uid"] == UID
        assert line["pod"] == {"namespace": "shop", "name": "web-5d4f8c7b9-", "owner": None}
        serve.client.close()
        assert serve.process.terminate() == 0
        assert serve.process.output().count("stopped") == 1


def test_audits(tmp_path: Path) -> None:
    """And a collector gets the line as well."""
    with (
        receiving() as collector,
        serving(tmp_path, *sources(tmp_path), "--mode", "audit", "--otlp-logs", collector.url) as serve,
    ):
        response = serve.create(TRAINEE, dryRun=True)
        wait_for(lambda: "bayplan_otlp_logs_sent_total 1.0" in asking.get(f"{serve.plain}/metrics").text, "the record")
        (record,) = collector.records
        assert UID in [pair.value.string_value for pair in record.attributes]
        assert patch_of(response) == []
        serve.client.close()
        assert serve.process.terminate() == 0
        (line,) = serve.lines()
        assert line["mode"] == "audit"
        assert line["dryRun"] is True
        assert json.dumps(line["patch"], separators=(",", ":")) == response["auditAnnotations"]["patch"]


def test_a_shadow_is_asked_about_what_was_answered(tmp_path: Path) -> None:
    """One that is not there yet keeps nobody from serving; once it is, what it would do otherwise is logged."""
    other = tmp_path / "next"
    with serving(tmp_path, *sources(tmp_path), "--shadow", other) as serve:
        alone = patch_of(serve.create(TRAINEE))
        bundles.write(other, "2.0.0", training=bundles.TRAINING.replace('== "a100"', '== "h100"'))
        wait_for(lambda: "small@2.0.0" in serve.output(), "the shadow to be sound")
        assert patch_of(serve.create(TRAINEE)) == alone
        wait_for(lambda: any("difference" in line for line in serve.lines()), "the difference")
        line = next(line for line in serve.lines() if "difference" in line)
        assert line["difference"] == "refused"
        assert line["revision"].startswith("small@1.0.0")
        assert line["shadow"]["revision"].startswith("small@2.0.0")
        assert 'bayplan_shadow_differences_total{difference="refused"} 1.0' in asking.get(f"{serve.plain}/metrics").text


def test_keeps_decisions_that_outlast_a_kill_and_a_failing_disk_is_told_of(tmp_path: Path) -> None:
    folder, blocked = tmp_path / "store", tmp_path / "blocked"
    blocked.write_text("")
    trainee = pod({"workload": "training"}, {"containers": [{"name": "c", "env": [{"name": "A", "value": "hunter2"}]}]})
    with serving(tmp_path, *sources(tmp_path), "--store", folder) as serve:
        serve.create(trainee)
        wait_for(lambda: "bayplan_store_kept_total 1.0" in asking.get(f"{serve.plain}/metrics").text, "the commit")
        serve.process.kill()
    with closing(Reader(folder / "decisions-0.sqlite")) as reader:
        (row,) = rows_in(reader)
        kept = kept_decision(row.body)
        assert kept.decision["patch"]
        assert kept.incoming
        assert kept.incoming.pod["spec"]["containers"] == [{"name": "c", "env": [{"name": "A", "value": ""}]}]
        world = unpacked(reader.thing(row.world) or b"", WorldParts)
        assert world.bundles[0] is not None
    (tmp_path / "again").mkdir()
    with serving(tmp_path / "again", *sources(tmp_path), "--store", blocked / "store") as serve:
        wait_for(lambda: "can't be written: Not a directory" in serve.status(), "the complaint, before any decision")
        assert patch_of(serve.create(trainee))
        assert "bayplan_store_failing 1.0" in asking.get(f"{serve.plain}/metrics").text
        told = asking.get(f"{serve.plain}/status", headers=serve.reader).json()["store"]
        assert told["problems"] == serve.status().splitlines()[1:]
        blocked.unlink()
        wait_for(lambda: serve.status() == "ok\n", "the store to be written again")
        assert patch_of(serve.create(trainee))
        serve.client.close()
        assert serve.process.terminate() == 0
    with closing(Reader(blocked / "store" / "decisions-0.sqlite")) as reader:
        assert len(rows_in(reader)) == 2


def test_leaves_its_own_namespace_alone(tmp_path: Path) -> None:
    with serving(tmp_path, *sources(tmp_path), "--namespace", "shop") as serve:
        assert patch_of(serve.create(TRAINEE)) == []
        (expression,) = serve.webhook["namespaceSelector"]["matchExpressions"]
        assert "shop" in expression["values"]


def gpu_pools(response: Json) -> list[str]:
    """The pools that a patch names."""
    for operation in patch_of(response):
        text = json.dumps(operation)
        return sorted(set(re.findall(r"gpu-\w+", text)))
    return []


def test_nodes_of_a_cluster_are_followed(tmp_path: Path) -> None:
    with ApiServer().running() as api:
        labels = {"accelerator": "a100", "cloud.google.com/gke-nodepool": "gpu-a"}
        api.put("n1", labels)
        api.put("shop", {"team": "a"}, path=NAMESPACES)
        bundle = bundles.write(tmp_path / "bundle")
        arguments = ("--bundle", bundle, "--kubeconfig", api.kubeconfig(tmp_path))
        with serving(tmp_path, *arguments) as serve:
            assert gpu_pools(serve.create(TRAINEE)) == ["gpu-a"]
            api.put("n2", {**labels, "cloud.google.com/gke-nodepool": "gpu-b"})
            wait_for(lambda: gpu_pools(serve.create(TRAINEE)) == ["gpu-a", "gpu-b"], "the new pool")
            api.delete("n1")
            wait_for(lambda: gpu_pools(serve.create(TRAINEE)) == ["gpu-b"], "the pool to disappear")
            api.put("shop", {"team": "b"}, path=NAMESPACES)
            wait_for(lambda: "teams=" in serve.create(pod())["auditAnnotations"]["policies"], "the namespace's label")
            metrics = asking.get(f"{serve.plain}/metrics").text
            assert 'bayplan_cache_objects{kind="nodes"} 1.0' in metrics
            assert 'bayplan_cache_synced{kind="namespaces"} 1.0' in metrics
            serve.client.close()
            assert serve.process.terminate() == 0


NEVER_FOUND: dict[str, tuple[Fault | None, str]] = {
    "forbidden": (lambda handler: handler.whole(403, b"{}"), "the API server answered 403"),
    "overloaded": (lambda handler: handler.whole(429, b"{}", {"Retry-After": "60"}), "the API server answered 429"),
    "silent": (Handler.silent, "no answer in time"),
    "unheard of": (None, "the API server does not know it yet"),
}


@pytest.mark.parametrize("how", NEVER_FOUND)
def test_a_namespace_that_cannot_be_read_fails_the_policies_that_read_it(tmp_path: Path, how: str) -> None:
    """However many ask at once, nobody waits for another; a pod whose Namespace is known is answered meanwhile."""
    instead, why = NEVER_FOUND[how]
    with ApiServer().running() as api:
        api.put("n1", {"accelerator": "a100", "cloud.google.com/gke-nodepool": "gpu-a"})
        api.put("shop", {"team": "a"}, path=NAMESPACES)
        for n in range(40):
            if instead:
                api.instead[f"{NAMESPACES}/young-{n}"] = instead
        strict = bundles.TEAMS.replace("Ignore", "Fail")
        bundle = bundles.write(tmp_path / "bundle", teams=strict)
        with serving(tmp_path, "--bundle", bundle, "--kubeconfig", api.kubeconfig(tmp_path)) as serve:
            assert f"({why}); try again" in serve.create(TRAINEE, namespace="young-0")["status"]["message"]
            with ThreadPoolExecutor(41) as many:
                young = [many.submit(serve.create, TRAINEE, namespace=f"young-{n % 40}") for n in range(80)]
                assert gpu_pools(serve.create(TRAINEE)) == ["gpu-a"]
                answers = [one.result() for one in young]
            reasons = {answer["status"]["message"].partition("(")[2].partition(")")[0] for answer in answers}
            assert reasons <= {why, "too many others are being read", "no answer in time"}
            assert not any(answer["allowed"] for answer in answers)
            metrics = asking.get(f"{serve.plain}/metrics").text
            assert "bayplan_namespace_lookups_total{" in metrics
            assert "`young-" in serve.output()
            api.instead.clear()
            api.put("young-1", {"team": "a"}, path=NAMESPACES)
            wait_for(lambda: serve.create(TRAINEE, namespace="young-1")["allowed"], "the Namespace to be known")


def test_pools_without_nodes_are_followed_too(tmp_path: Path) -> None:
    """Karpenter comes to the cluster, gets NodePools, and goes; an inventory beside them has its say all the time."""

    def spec(accelerator: str) -> Json:
        template = {"metadata": {"labels": {"accelerator": accelerator}}, "spec": {"requirements": []}}
        return {"template": template}

    with ApiServer().running() as api:
        bundle = bundles.write(tmp_path / "bundle")
        by_hand = tmp_path / "pools.yaml"
        entry = {"name": "gpu-b", "selector": {"karpenter.sh/nodepool": "gpu-b"}, "labels": {"accelerator": "h100"}}
        by_hand.write_text(json.dumps({"apiVersion": "bayplan.dev/v1alpha1", "kind": "Inventory", "pools": [entry]}))
        arguments = ("--bundle", bundle, "--kubeconfig", api.kubeconfig(tmp_path), "--pools", str(by_hand))
        with serving(tmp_path, *arguments) as serve:
            assert not serve.create(TRAINEE)["allowed"]
            api.install(NODE_POOLS)
            about: dict[str, Any] = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool"}
            for name in ("gpu-a", "gpu-b"):
                api.put(name, path=NODE_POOLS, spec=spec("a100"), **about)
            api.put("gpu-broken", path=NODE_POOLS, spec={"template": 7}, **about)
            wait_for(lambda: gpu_pools(serve.create(TRAINEE)) == ["gpu-a"], "the pool of a NodePool")
            api.put("gpu-a", path=NODE_POOLS, spec=spec("h100"), **about)
            wait_for(lambda: not serve.create(TRAINEE)["allowed"], "the change of a label")
            api.put("gpu-c", path=NODE_POOLS, spec=spec("a100"), **about)
            wait_for(lambda: gpu_pools(serve.create(TRAINEE)) == ["gpu-c"], "another pool")
            api.uninstall(NODE_POOLS)
            wait_for(lambda: not serve.create(TRAINEE)["allowed"], "all NodePools to be gone")
            assert serve.output().count("NodePool gpu-broken: ") == 1


def test_is_not_ready_before_nodes_are_listed(tmp_path: Path) -> None:
    with ApiServer().running() as api:
        for _ in range(1000):
            api.fail(403, "nodes is forbidden")
        bundle = bundles.write(tmp_path / "bundle")
        arguments = ("--bundle", bundle, "--kubeconfig", api.kubeconfig(tmp_path))
        serve = Serve(tmp_path, *arguments)
        try:
            wait_for(lambda: "403 nodes is forbidden" in serve.status(), "the reason")
            assert asking.get(f"{serve.plain}/healthz").is_success
            assert serve.client.post(serve.url, content=body(review(TRAINEE)), headers=JSON).status_code == 503
            api.faults.clear()
            wait_for(serve.ready, "readiness")
        finally:
            serve.client.close()
            serve.process.kill()


def test_a_bundle_is_replaced_under_requests(tmp_path: Path) -> None:
    """Every answer names exactly one revision, and none fails."""
    with serving(tmp_path, *sources(tmp_path)) as serve:
        seen: list[str] = []
        for version in ("1.1.0", "1.2.0", "1.3.0"):
            bundles.write(tmp_path / "bundle", version)
            while not seen or f"@{version}+" not in seen[-1]:
                response = serve.create(TRAINEE)
                assert patch_of(response)
                seen.append(response["auditAnnotations"]["revision"])
        versions = [revision.split("@")[1].split("+")[0] for revision in dict.fromkeys(seen)]
        assert versions in (["1.0.0", "1.1.0", "1.2.0", "1.3.0"], ["1.1.0", "1.2.0", "1.3.0"])


def test_a_certificate_is_replaced(tmp_path: Path) -> None:
    first, second = development(["127.0.0.1"]), development(["127.0.0.1"])
    certificate, key = first.write(tmp_path)
    command: list[str | Path] = [BAYPLAN, "serve", *sources(tmp_path), "--tls-cert", certificate, "--tls-key", key]
    process = Process([*command, "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"], tmp_path / "log")
    try:
        wait_for(lambda: "serving health" in process.output(), "the webhook to start")
        url = next(m["url"] for m in ADDRESSES.finditer(process.output()) if m["what"] == "admission")

        def answers(authority: bytes) -> bool:
            trust = ssl.create_default_context(cadata=authority.decode())
            try:
                return asking.post(url, content=body(review(TRAINEE)), headers=JSON, verify=trust).is_success
            except httpx.ConnectError:
                return False

        assert answers(first.authority)
        second.write(tmp_path)
        wait_for(lambda: answers(second.authority), "the new certificate")
    finally:
        process.kill()


def test_interrupting_is_an_ordinary_end(tmp_path: Path) -> None:
    command = [BAYPLAN, "serve", *sources(tmp_path), "--dev", "--listen", "127.0.0.1:0", "--health", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "serving health" in line:
                break
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert yaml.safe_load(output)["kind"] == "MutatingWebhookConfiguration"


def refused(*arguments: str | Path) -> str:
    """What is said on standard error when the command does not start."""
    done = subprocess.run([BAYPLAN, "serve", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


PORTS = ("--listen", "127.0.0.1:0", "--health", "127.0.0.1:0")


def test_a_broken_bundle_is_shown_whole(tmp_path: Path) -> None:
    arguments: Any = sources(tmp_path)
    bundles.write(
        tmp_path / "bundle",
        training=bundles.TRAINING.replace("pool.labels", "pool.lables"),
        named=bundles.NAMED.replace("pod.spec", "pod.spce"),
    )
    said = refused(*arguments, *PORTS, "--tls-cert", *_pair(tmp_path))
    assert "policies/training.yaml:7:" in said
    assert "did you mean `labels`?" in said
    assert "policies/named.yaml:6:" in said
    assert "did you mean `spec`?" in said


def _pair(folder: Path) -> tuple[Path, str, Path]:
    certificate, key = development(["127.0.0.1"]).write(folder)
    return certificate, "--tls-key", key


def test_what_keeps_it_from_starting_is_said(tmp_path: Path) -> None:
    arguments: Any = sources(tmp_path)
    pair = ("--tls-cert", *_pair(tmp_path))
    assert "--tls-cert and --tls-key, or --dev" in refused(*arguments)
    assert "go together" in refused(*arguments, "--tls-cert", "x")
    assert "is not an https URL" in refused(*arguments, "--dev", "--dev-url", "http://x")
    assert "--events goes with a cluster" in refused(*arguments, "--dev", "--events")
    assert "is not KEY=VALUE" in refused(*arguments, *pair, "--cluster-label", "x")
    assert "nowhere.crt" in refused(*arguments, *PORTS, "--tls-cert", tmp_path / "nowhere.crt", "--tls-key", pair[-1])
    assert "nowhere" in refused("--bundle", tmp_path / "nowhere", *PORTS, *pair, "--pools", arguments[-1])
    assert "nowhere" in refused("--bundle", arguments[1], *PORTS, *pair, "--pools", tmp_path / "nowhere")
    assert "nowhere" in refused("--bundle", arguments[1], *PORTS, *pair, "--kubeconfig", tmp_path / "nowhere")
    with contextlib.closing(listen("127.0.0.1:0")) as taken:
        address = address_of(taken)
        said = refused(*arguments, *pair, "--listen", address, "--health", "127.0.0.1:0")
        assert f"can't listen on `{address}`: address already in use" in said


def operate(serve: Serve, folder: Path, *words: str) -> Json:
    """What a command of `bayplan` makes of a running webhook, as JSON."""
    asked = ("--url", serve.plain, "--token-file", folder / "token", "-o", "json")
    done = subprocess.run([BAYPLAN, *words, *asked], capture_output=True, text=True, check=False)
    assert done.stderr == "", done.stderr
    ((told,),) = [one["bundles"] for one in json.loads(done.stdout)]
    assert done.returncode == int(bool(told["code"])), done.stdout
    return dict(told)


def test_a_bundle_is_told_of_rolled_back_and_pinned_over_restarts_and_without_its_source(tmp_path: Path) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    arguments = ("--bundle", bundle, "--pools", bundles.write_pools(tmp_path), "--state", tmp_path / "state")
    with serving(tmp_path, *arguments) as serve:
        told = operate(serve, tmp_path, "status")
        assert (told["name"], told["version"], told["type"]) == ("small", "1.0.0", "folder")
        assert re.fullmatch(r"small@1\.0\.0\+sha256:[0-9a-f]{64}", told["active_revision"])
        bundles.write(bundle, "1.1.0")
        wait_for(lambda: operate(serve, tmp_path, "status")["version"] == "1.1.0", "the next version")
        bundles.write(bundle, "1.2.0", training="kind: [")
        wait_for(lambda: operate(serve, tmp_path, "status")["code"] == "parse_failed", "the failure")
        assert "the step `parse` failed" in serve.status()
        assert serve.status().startswith("ok\n")
        assert asking.get(f"{serve.plain}/readyz").text == "ok\n"
        metrics = asking.get(f"{serve.plain}/metrics", headers=serve.reader).text
        assert 'bayplan_activation_failures_total{step="parse"} 1.0' in metrics
        assert "bayplan_bundle_failing 1.0" in metrics
        assert f'digest="{told["digest"].removeprefix("sha256:")}"' not in metrics
        told = operate(serve, tmp_path, "rollback")
        assert (told["version"], len(told["held_back"])) == ("1.0.0", 1)
        assert patch_of(serve.create(TRAINEE))
        serve.process.kill()
    shutil.rmtree(bundle)
    again = tmp_path / "again"
    again.mkdir()
    with serving(again, *arguments) as serve:
        told = operate(serve, tmp_path, "status")
        assert (told["version"], told["code"], len(told["held_back"])) == ("1.0.0", "fetch_failed", 1)
        assert patch_of(serve.create(TRAINEE))
        bundles.write(bundle, "1.1.0")  # which is held back
        wait_for(lambda: not operate(serve, tmp_path, "status")["code"], "the source")
        assert operate(serve, tmp_path, "pin")["version"] == "1.0.0"
        asked_at = "bayplan_bundle_last_success_request_timestamp_seconds"
        assert f"\n{asked_at} 1" in asking.get(f"{serve.plain}/metrics").text
        assert operate(serve, tmp_path, "suspend")["suspended"]
        assert f"\n{asked_at} NaN\n" in asking.get(f"{serve.plain}/metrics").text
        assert operate(serve, tmp_path, "resume")["pinned"] is None
        wait_for(lambda: operate(serve, tmp_path, "status")["version"] == "1.1.0", "what was held back")


def test_nobody_is_told_or_obeyed_without_the_token(tmp_path: Path) -> None:
    with serving(tmp_path, *sources(tmp_path)) as serve:
        for method, path in (("GET", "status"), *(("POST", what) for what in ("rollback", "pin", "suspend", "resume"))):
            for headers in ({}, {"authorization": "Bearer no"}, {"x-bayplan-token": "no"}, {"x-bayplan-token": ""}):
                answer = asking.request(method, f"{serve.plain}/{path}", headers=headers)
                flag = "--status-token-file" if method == "GET" else "--operator-token-file"
                assert (answer.status_code, answer.json()) == (401, {"message": f"this needs the token of {flag}"})
        assert asking.get(f"{serve.plain}/status", headers={"x-bayplan-token": "let-me-read"}).is_success
        assert asking.get(f"{serve.plain}/rollback", headers=serve.reader).status_code == 405
        assert asking.post(f"{serve.plain}/other", headers=serve.reader).status_code in (404, 422)
        refused = asking.post(f"{serve.plain}/rollback?revision=9.9.9", headers=serve.reader)
        assert refused.status_code == 409
        assert "`9.9.9` is no revision that was kept: small@1.0.0" in refused.json()["message"]
        assert asking.post(f"{serve.plain}/pin?bundle=large", headers=serve.reader).status_code == 409


def test_who_may_look_need_not_be_obeyed(tmp_path: Path) -> None:
    (tmp_path / "operator").write_text("let-me-decide")
    with serving(tmp_path, *sources(tmp_path), "--operator-token-file", tmp_path / "operator") as serve:
        operator = {"authorization": "Bearer let-me-decide"}
        assert asking.get(f"{serve.plain}/status", headers=serve.reader).is_success
        assert asking.post(f"{serve.plain}/suspend", headers=serve.reader).status_code == 401
        assert asking.post(f"{serve.plain}/suspend", headers=operator).is_success
        assert asking.get(f"{serve.plain}/status", headers=operator).json()["bundles"][0]["suspended"]


def test_constants_of_the_cluster_are_laid_over(tmp_path: Path) -> None:
    bundle = bundles.write(tmp_path / "bundle", training=bundles.TRAINING.replace('"a100"', "params.kind"))
    text = (bundle / "bundle.yaml").read_text()
    (bundle / "bundle.yaml").write_text(text.replace("mode: enforce", "mode: enforce, params: {kind: h100}"))
    arguments = ("--bundle", bundle, "--pools", bundles.write_pools(tmp_path))
    with serving(tmp_path, *arguments, "--param", "kind=a100") as serve:
        assert patch_of(serve.create(TRAINEE))
        assert re.search(r"small@1\.0\.0\+sha256:[0-9a-f]{8}\+params:[0-9a-f]{8} is active", serve.output())
    wrong = subprocess.run(
        [
            BAYPLAN,
            "serve",
            *arguments,
            "--dev",
            "--param",
            "kinds=a100",
            "--listen",
            "127.0.0.1:0",
            "--health",
            "[::1]:0",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 2
    assert "--param:1:1: error: bundle `small` has no constant `kinds`" in wrong.stderr
    assert "did you mean `kind`?" in wrong.stderr


def test_several_bundles_decide_together_and_are_operated_one_by_one(tmp_path: Path) -> None:
    small, other = bundles.write(tmp_path / "bundle"), tmp_path / "other"
    other.mkdir()
    (other / "bundle.yaml").write_text(bundles.BUNDLE.replace("small", "other").replace("VERSION", "3.0.0"))
    (other / "policy.yaml").write_text(bundles.NAMED.replace("no-node-names", "other-names"))
    one = ("--bundle", small, "--owns", "training", "--owns", "no-", "--owns", "teams")
    pools = ("--pools", bundles.write_pools(tmp_path))
    with serving(tmp_path, *one, "--bundle", other, "--owns", "other-", *pools) as serve:
        response = serve.create({**TRAINEE, "spec": {**TRAINEE["spec"], "nodeName": "n"}})
        assert response["allowed"] is False
        assert re.fullmatch(
            r"small@1\.0\.0\+sha256:\w{8}, other@3\.0\.0\+sha256:\w{8}", response["auditAnnotations"]["revision"]
        )
        wait_for(serve.lines, "the log line")
        by_policy = {one["name"]: one["revision"].partition("+")[0] for one in serve.lines()[0]["policies"]}
        assert (by_policy["no-node-names"], by_policy["other-names"]) == ("small@1.0.0", "other@3.0.0")

        def order(what: str) -> httpx.Response:
            return asking.post(f"{serve.plain}/{what}", headers=serve.reader)

        assert order("pin").status_code == 409
        assert "say which of the bundles" in order("pin").json()["message"]
        pinned = order("pin?bundle=other").json()["bundles"]
        assert [(each["name"], bool(each["pinned"])) for each in pinned] == [("small", False), ("other", True)]
        (other / "policy.yaml").write_text("nonsense")
        bundles.write(small, "1.1.0")
        wait_for(lambda: serve.create(TRAINEE)["auditAnnotations"]["revision"].startswith("small@1.1.0"), "the next")
        metrics = asking.get(f"{serve.plain}/metrics", headers=serve.reader).text
        assert metrics.count("bayplan_bundle_info{") == 2
        assert 'bayplan_policy_evaluations_total{bundle="other"' in metrics


def test_a_bundle_is_rolled_out_to_some_workloads(tmp_path: Path) -> None:
    new, before = bundles.write(tmp_path / "bundle", "1.1.0"), bundles.write(tmp_path / "before")
    sources = (
        "--bundle",
        new,
        "--previous",
        before,
        "--rollout-bundle",
        "50",
        "--pools",
        bundles.write_pools(tmp_path),
    )
    with serving(tmp_path, *sources) as serve:

        def version(name: str) -> str:
            owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": "u", "controller": True}
            given = {**TRAINEE, "metadata": {**TRAINEE["metadata"], "ownerReferences": [owner]}}
            revision: str = serve.create(given)["auditAnnotations"]["revision"]
            return revision.partition("@")[2].partition("+")[0]

        by_workload = {f"app-{i}": version(f"app-{i}") for i in range(30)}
        assert set(by_workload.values()) == {"1.0.0", "1.1.0"}
        told = asking.get(f"{serve.plain}/status", headers=serve.reader).json()["bundles"]
        assert [(each["version"], each["side"], each["percent"]) for each in told] == [
            ("1.1.0", "active", 50),
            ("1.0.0", "previous", 50),
        ]
        metrics = asking.get(f"{serve.plain}/metrics", headers=serve.reader).text
        sides = re.findall(r'bayplan_rollout_decisions_total{side="(\w+)"} (\d+)', metrics)
        assert sum(int(float(count)) for _, count in sides) == 30
        pinned = asking.post(f"{serve.plain}/pin", headers=serve.reader).json()["bundles"]  # the active one is meant
        assert [bool(each["pinned"]) for each in pinned] == [True, False]
        bundles.write(new, "1.2.0")
        named = asking.post(f"{serve.plain}/resume?bundle=small", headers=serve.reader)
        assert named.status_code == 200
        wait_for(lambda: {version(name) for name in by_workload} == {"1.0.0", "1.2.0"}, "the next one")
        after = {name: version(name) for name in by_workload}
        assert {name for name, one in after.items() if one == "1.0.0"} == {
            name for name, one in by_workload.items() if one == "1.0.0"
        }
