"""Every command of the walk in docs/bundles.md, as it stands there, in a real cluster: pods are placed by what it says.

It takes half a minute, nine tenths of it processes that start: nightly.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from .controlplane import ControlPlane, Json, wait_for
from .fleet import add_general, add_gpu
from .pods import pod
from .serving import Serving, running
from .test_getting_started import BLOCK, COMMAND, at_a_shell, namespaces, run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "bundles.md").read_text()
WALK = PAGE.partition("\n## From an empty repository ")[2].partition("\n## ")[0]
FILES = dict(re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", WALK, re.MULTILINE | re.DOTALL))
URL = "http://127.0.0.1:8080"
TRY = "bayplan-try"


def typed(text: str) -> Iterator[tuple[str, str]]:
    """The commands of the page in order, and below each what it is said to print: parts of lines, with … between."""
    for kind, block in BLOCK.findall(text):
        ends = [one.end() for one in COMMAND.finditer(block)]
        begins = [one.start() for one in COMMAND.finditer(block)]
        assert kind == "console"
        for one, end, following in zip(COMMAND.findall(block), ends, [*begins[1:], len(block)], strict=True):
            yield one, block[end:following]


def printing(*parts: str) -> Callable[[str], bool]:
    """Whether all of these are in what is printed."""
    return lambda printed: all(part in printed for part in parts)


class Reader:
    """Somebody who types what the page says, one command after the other."""

    def __init__(self) -> None:
        self.serving: Serving | None = None
        self._page = typed(WALK)

    def types(self, *commands: str) -> None:
        """Type the next commands, which begin so. One that is said to print something does, sooner or later."""
        for begins in commands:
            command, said = next(self._page)
            assert command.startswith(begins)
            command, said = (text.replace(URL, self._url()) for text in (command, said))
            self._prints(command, printing(*(part.strip() for part in re.split(r"…|\n", said))))

    def asks(self) -> None:
        """Type the next command, which asks for a status that is fine, until it is."""
        command, said = next(self._page)
        assert (command.split()[:2], said.strip()) == (["bayplan", "status"], "")
        self._prints(command.replace(URL, self._url()), lambda printed: "failed" not in printed)

    def arguments(self, begins: str) -> list[str]:
        """The words of the next command, as a shell reads them."""
        command, _ = next(self._page)
        assert command.startswith(begins)
        return run(command.replace("bayplan", "printf '%s\\n'", 1)).splitlines()

    def status(self, *expected: str) -> None:
        """Ask, beside the page, until all of this is said."""
        command = f"bayplan status --url {self._url()} --token-file ~/token"
        self._prints(command, printing(*expected))

    def has_finished(self) -> bool:
        return next(self._page, None) is None

    def _url(self) -> str:
        return f"http://127.0.0.1:{self.serving.plain_port}" if self.serving else URL

    def _prints(self, command: str, right: Callable[[str], bool]) -> None:
        """Run a command that shows a status again until that is right, and any other once."""
        shows = command.startswith("bayplan status")
        statuses = (0, 1) if shows else (0,)
        printed = run(command, *statuses)
        if shows and not right(printed):
            wait_for(lambda: right(run(command, *statuses)), command, lambda: run(command, *statuses))
        else:
            assert right(printed), f"{command}\n{printed}"


@pytest.fixture
def reader(cluster: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """At a shell in an empty folder, with a cluster of two pools."""
    at_a_shell(cluster, tmp_path, monkeypatch)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "A")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "a@example.com")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    add_general(cluster, "general-1")
    add_gpu(cluster, "gpu-1")
    wait_for(lambda: TRY not in namespaces(cluster), "the namespace of an earlier reader to go")
    return Reader()


def spread(cluster: ControlPlane) -> bool:
    """Whether the policy of version 1.1.0 has its way with a pod that is created now."""
    made = cluster.create_pod(TRY, pod("web", labels={"tier": "web"}), dry_run=True)
    return "topologySpreadConstraints" in made["spec"]


@pytest.mark.timeout(1_200)
@pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="takes half a minute")
def test_from_an_empty_repository_to_a_cluster_and_back(cluster: ControlPlane, reader: Reader) -> None:
    reader.types("git init", "git init", "ssh-keygen", "git config", "echo")
    reader.types("bayplan init", "sed", "bayplan check", "bayplan test")
    reader.types("git add", "git tag -s", "bayplan verify", "git push")
    reader.types("openssl", "kubectl")
    with running(cluster, reader.arguments("bayplan serve")) as serving:
        reader.serving = serving
        reader.types("bayplan status", "kubectl")
        cluster.wait_called("bayplan-dev", TRY)
        reader.types("kubectl", "kubectl", "kubectl")
        assert cluster.pod(TRY, "payments")["spec"]["nodeName"] == "general-1"

        path = "placement/policies/web.yaml"
        Path(path).write_text(FILES[path])
        reader.types("sed", "bayplan check", "git add", "git tag -s", "bayplan status")
        assert spread(cluster)
        reader.types("git switch", "rm", "git commit", "bayplan status", "git switch")
        reader.asks()
        refuses_what_others_publish(reader)
        assert spread(cluster)

        reader.types("bayplan rollback")
        assert not spread(cluster)
        reader.types("git revert", "bayplan check", "git commit", "git push", "bayplan status")
        assert not spread(cluster)
        reader.types("bayplan pin")
        assert spread(cluster)
        reader.types("bayplan resume")
        reader.status("placement@2.0.0", "follows")
    reader.types("openssl", "bayplan build", "bayplan sign", "bayplan verify")
    cluster.api("DELETE", f"/api/v1/namespaces/{TRY}/pods", gracePeriodSeconds="0")  # no kubelet says that they ended
    reader.types("kubectl", "kubectl")
    assert reader.has_finished()


def refuses_what_others_publish(reader: Reader) -> None:
    """What the page says in a sentence: tags that were moved, signed by strangers, or called otherwise."""
    change = "git commit --quiet --allow-empty --message Else"
    stranger = "ssh-keygen -q -t ed25519 -N '' -f ~/stranger"
    for step, publish, take_back in (
        (
            "signature",
            "git push --quiet --force origin main:refs/tags/v1.1.0",
            "git push --quiet --force origin v1.1.0",
        ),
        (
            "signature",
            f"{stranger} && git -c user.signingkey=$HOME/stranger.pub tag -s v1.3.0 -m 1 && git push -q origin v1.3.0",
            "git tag --delete v1.3.0 && git push --quiet origin :v1.3.0",
        ),
        ("digest", "git push --quiet origin v1.0.0:refs/tags/v1.4.0", "git push --quiet origin :v1.4.0"),
    ):
        run(f"{change} && {publish}")
        reader.status("placement@1.1.0", f"the step `{step}` failed")
        run(f"{take_back} && git reset --quiet --hard HEAD~1")
        reader.status("placement@1.1.0", "follows")


def test_the_values_of_the_walk_are_the_charts() -> None:
    known = yaml.safe_load((ROOT / "charts" / "bayplan" / "values.yaml").read_text())
    assert unknown(yaml.safe_load(FILES["values.yaml"]), known) == []


def unknown(values: Mapping[str, Json], known: Mapping[str, Json]) -> list[str]:
    """The keys that the chart has not, or has for something else."""
    found = [key for key in values if type(values[key]) is not type(known.get(key))]
    return found + [one for key in values if isinstance(values[key], dict) for one in unknown(values[key], known[key])]
