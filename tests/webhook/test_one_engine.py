"""webhook and cli, law 9: `bayplan explain` says what the webhook answers, for every example of every sample."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.main import main
from delivery import read_documents
from delivery.folder import load_bundle
from engine.decision import Decider
from engine.pods import IncomingPod, pods_from_documents
from engine.pools import inventory_from_documents
from engine.program import compile_bundle
from telemetry import Metrics
from webhook.admission import Admission

SAMPLES = sorted(path.parent for path in Path("policies").glob("*/bundle.yaml"))


def answered(decider: Decider, incoming: IncomingPod) -> dict[str, Any]:
    """What the webhook answers for a pod: the response of its AdmissionReview, the Namespace from its memory."""
    request = {
        "uid": "u",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": incoming.namespace_name,
        "operation": "CREATE",
        "userInfo": incoming.request["userInfo"],
        "object": incoming.pod,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    namespaces = SimpleNamespace(get=lambda _name: incoming.namespace, fetch=lambda _name: None)
    admission = Admission(SimpleNamespace(decider=decider), Metrics("0"), namespaces)
    answer = asyncio.run(admission.answer(json.dumps(review).encode()))
    response: dict[str, Any] = json.loads(answer.body)["response"]
    return response


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_explain_and_the_webhook_agree(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Patch for patch, refusal for refusal."""
    pools, examples = sample / "pools", sample / "examples"
    arguments = ["explain", "--bundle", str(sample), "--pools", str(pools), str(examples), "-o", "json"]
    assert main(arguments) == 0
    explained = json.loads(capsys.readouterr().out)
    decider = Decider(compile_bundle(load_bundle(sample)), inventory_from_documents(read_documents(pools)))
    incoming_pods = pods_from_documents(read_documents(examples))

    assert len(incoming_pods) == len(explained) > 0
    for incoming, said in zip(incoming_pods, explained, strict=True):
        response = answered(decider, incoming)
        patch = json.loads(base64.b64decode(response["patch"])) if "patch" in response else []
        assert (response["allowed"], patch) == (said["allowed"], said["patch"] if said["allowed"] else [])
        assert said["allowed"] or said["message"] in response["status"]["message"]
