"""engine.pods.incoming: what a decision is about."""

from __future__ import annotations

from engine.pods.incoming import IncomingPod, Owner


def test_a_subject_is_called_after_its_workload() -> None:
    pod = {"metadata": {"name": "web-1", "generateName": "web-"}}
    namespace = {"metadata": {"name": "shop"}}
    assert IncomingPod(pod, namespace, {}, Owner("apps/v1", "Deployment", "web")).name == "web"
    assert IncomingPod(pod, namespace, {}).name == "web-1"
    assert IncomingPod({"metadata": {"generateName": "web-"}}, namespace, {}).name == "web-"
    assert IncomingPod({}, {}, {"namespace": "x"}).name == ""


def test_its_namespace() -> None:
    assert IncomingPod({}, {"metadata": {"name": "shop"}}, {"namespace": "x"}).namespace_name == "shop"
    assert IncomingPod({}, {}, {"namespace": "x"}).namespace_name == "x"
