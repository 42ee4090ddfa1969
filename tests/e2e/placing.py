"""Policies of a test at work on pods of one namespace, and whether its nodes are those that decisions predicted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .controlplane import ControlPlane, Json, wait_for
from .pods import pod
from .serving import Serving, admission
from .test_inventory import FRESH_SECONDS


@dataclass(frozen=True)
class Placing:
    """Policies at work in one namespace."""

    cluster: ControlPlane
    serving: Serving
    namespace: str
    pool_of: Callable[[Json], str]
    """From a Node to the name of the pool that it belongs to, found without Bayplan."""
    bundle: Path
    versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def change(self, *specs: str) -> None:
        """Have other policies at work, and wait until they decide."""
        version = f"1.0.{next(self.versions)}"
        write_policies(self.bundle, *specs, version=version)

        def active() -> bool:
            self.dry_run()
            return f"placing@{version}+" in self.serving.output()

        wait_for(active, f"version {version} of the bundle to decide", self.serving.tail)

    def create(self, name: str, cpu: str = "1", **spec: Json) -> Json:
        """Create a bare pod that asks for so many CPUs; the pod as it was admitted."""
        (container,) = pod(name)["spec"]["containers"]
        limited = {**container, "resources": {"requests": {"cpu": cpu}}}
        given = pod(name, labels={"app": name}, spec={"containers": [limited], **spec})
        return self.cluster.create_pod(self.namespace, given)

    def dry_run(self) -> Json:
        """What a pod like those of `create` would be admitted as now; None where it would be refused."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        answer = self.cluster.request("POST", path, pod("dry"), dryRun="All")
        return answer.json() if answer.is_success else None

    def wait_seen(self, seen: Callable[[Json], bool]) -> None:
        """Wait until what happened in the cluster has reached decisions, as `dry_run` gives them."""
        wait_for(lambda: seen(self.dry_run()), "a change to be seen", self.serving.tail, seconds=FRESH_SECONDS)

    def wait_refused(self, refused: bool) -> None:
        """Wait until pods are refused, or no longer."""
        self.wait_seen(lambda admitted: (admitted is None) == refused)

    def predicted(self, name: str) -> set[str]:
        """The pools in which the decision about a pod said that it may run."""
        found = wait_for(
            lambda: self.serving.decisions(self.namespace, name), f"a decision about `{name}`", self.serving.tail
        )
        return {*found[-1]["pools"]["after"]} - {*found[-1]["pools"]["untolerated"]}

    def bound(self, name: str) -> Json:
        """Wait until a pod is bound, and see that it is where the decision said; its node."""
        node = self.cluster.api("GET", f"/api/v1/nodes/{self.cluster.wait_bound(self.namespace, name)}")
        assert self.pool_of(node) in self.predicted(name)
        return node

    def placed(self, name: str, cpu: str = "1", **spec: Json) -> dict[str, str]:
        """Create a pod and wait until it is bound, where the decision said; the labels of its node."""
        self.create(name, cpu, **spec)
        labels: dict[str, str] = self.bound(name)["metadata"]["labels"]
        return labels


def write_policies(folder: Path, *specs: str, version: str = "1.0.0") -> Path:
    """Write a bundle whose policies are given by their specs in YAML, over what is there."""
    header = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "Bundle", "metadata": {"name": "placing"}}
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    for number, spec in enumerate(specs):
        named = {"apiVersion": "bayplan.dev/v1alpha1", "kind": "PlacementPolicy", "metadata": {"name": f"p{number}"}}
        policy = {**named, "spec": yaml.safe_load(spec)}
        (folder / "policies" / f"p{number}.yaml").write_text(yaml.safe_dump(policy))
    (folder / "bundle.yaml").write_text(yaml.safe_dump({**header, "spec": {"version": version}}))
    return folder


@contextmanager
def placing(
    cluster: ControlPlane,
    namespace: str,
    folder: Path,
    *specs: str,
    pool_of: Callable[[Json], str],
    more: tuple[str | Path, ...] = (),
) -> Iterator[Placing]:
    """Have policies, given by their specs in YAML, patch the pods of a namespace.

    `more` are further arguments of `bayplan serve`.
    """
    bundle = write_policies(folder / "bundle", *specs)
    with admission(cluster, namespace, bundle=bundle, more=("--log-decisions", "all", *more)) as serving:
        yield Placing(cluster, serving, namespace, pool_of, bundle)
