"""webhook.process on a large cluster: what it takes in memory, and how often it makes anew what decides."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.delivery import bundles
from tests.waiting import wait_for
from tests.webhook.test_process import Serve, serving

NODES = 5000
POOLS = 200
MOST_MEBIBYTES = 130


class Cluster:
    """The API server of a large cluster, as a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        assert process.stdin
        self._answers, self._commands = process.stdout, process.stdin
        self.url = self._answers.readline().strip()

    def change(self, what: str, nodes: int) -> None:
        """A `heartbeat` or a `label` of so many Nodes, told to all who watch."""
        self._commands.write(f"{what} {nodes}\n")
        self._commands.flush()
        assert self._answers.readline() == "done\n"


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[Cluster, str]]:
    """A large cluster, and a kubeconfig that leads there."""
    command = [sys.executable, "-m", "benchmarks.fleet", str(NODES), str(folder / "kubeconfig")]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield Cluster(process), str(folder / "kubeconfig")
        finally:
            process.kill()


def swaps(serve: Serve) -> int:
    return serve.output().count(" is active with ")


def mebibytes(serve: Serve, what: str) -> float:
    """What the operating system counts for the process that the leash holds."""
    leash = serve.process._leash.pid
    (child,) = Path(f"/proc/{leash}/task/{leash}/children").read_text().split()
    lines = Path(f"/proc/{child}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def test_a_large_cluster_is_followed_in_little_memory_and_made_into_pools_once_a_crowd(tmp_path: Path) -> None:
    bundle = bundles.write(tmp_path / "bundle")
    with (
        cluster(tmp_path) as (api, kubeconfig),
        serving(tmp_path, "--bundle", bundle, "--kubeconfig", kubeconfig) as serve,
    ):
        assert f"is active with {POOLS} pools" in serve.output()
        assert swaps(serve) == 1
        assert mebibytes(serve, "VmHWM") < MOST_MEBIBYTES
        api.change("heartbeat", 500)
        api.change("label", 1)
        wait_for(lambda: swaps(serve) == 2, "the changed node, for whose sake alone pools are made again")
        api.change("label", 500)
        wait_for(lambda: swaps(serve) > 2, "the changed nodes")
        api.change("heartbeat", 500)
        api.change("label", 1)
        wait_for(lambda: swaps(serve) > 3, "the changed node")
        assert swaps(serve) < 3 + 5, "500 nodes that change together are one change, or a few on a busy machine"
        assert mebibytes(serve, "VmRSS") < MOST_MEBIBYTES
