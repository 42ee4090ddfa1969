"""engine.subject: what a decision is about."""

from __future__ import annotations

from engine.pods.incoming import Owner, Subject


def test_a_subject_is_called_after_its_workload() -> None:
    pod = {"metadata": {"name": "web-1", "generateName": "web-"}}
    namespace = {"metadata": {"name": "shop"}}
    assert Subject(pod, namespace, {}, Owner("apps/v1", "Deployment", "web")).name == "web"
    assert Subject(pod, namespace, {}).name == "web-1"
    assert Subject({"metadata": {"generateName": "web-"}}, namespace, {}).name == "web-"
    assert Subject({}, {}, {"namespace": "x"}).name == ""


def test_its_namespace() -> None:
    assert Subject({}, {"metadata": {"name": "shop"}}, {"namespace": "x"}).namespace_name == "shop"
    assert Subject({}, {}, {"namespace": "x"}).namespace_name == "x"
