"""The store of a webhook under load, before a real API server: no admission waits for it, whatever becomes of the disk,
and what it has acknowledged is there after `kill -9`.

Nightly, for it measures: `-s` shows the figures. Disks are file systems in files, so that they can be full, frozen and
read-only; that takes root.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from audit.database import Reader

from . import hooks
from .both_modes import chosen
from .controlplane import ControlPlane, wait_for
from .load import UID_HERE, Asking, Load, Measured, asked, together
from .pods import Json, pod
from .processes import free_ports
from .serving import BUNDLE, Serving, running

pytestmark = [
    pytest.mark.skipif(os.environ.get("BAYPLAN_NIGHTLY") != "1", reason="measures"),
    pytest.mark.timeout(1200),
]
RATE, SECONDS, ROUNDS = 500.0, 10.0, 3
UIDS = 10_000_000
"""Numbers of requests by which rounds are apart."""
KINDS = 40


def a_pod(number: int) -> Json:
    """A pod of about 4 KiB as it is asked for."""
    labels = {"workload": "training" if number % 2 else "web", "app": f"a{number}", "team": "blue"}
    given = pod(f"p{number}", labels=labels)
    (container,) = given["spec"]["containers"]
    container["env"] = [{"name": f"E{each}", "value": "x" * 40} for each in range(20)]
    return given


@dataclass(frozen=True)
class Webhook:
    """A webhook in audit mode."""

    serving: Serving
    token: Path

    def metric(self, name: str) -> float:
        """A value of `/metrics`, all of its labels together."""
        text = httpx.get(f"http://127.0.0.1:{self.serving.plain_port}/metrics", timeout=30).text
        found = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
        assert found, f"no {name} in {text}"
        return sum(map(float, found))

    @property
    def kept(self) -> int:
        return int(self.metric("bayplan_store_kept_total"))

    @property
    def dropped(self) -> int:
        text = httpx.get(f"http://127.0.0.1:{self.serving.plain_port}/metrics", timeout=30).text
        return int(sum(float(value) for value in re.findall(r"^bayplan_store_dropped_total\{.*\} (\S+)$", text, re.M)))

    def ready(self) -> str:
        """What /readyz says to whom may read it."""
        headers = {"authorization": f"Bearer {self.token.read_text()}"}
        answer = httpx.get(f"http://127.0.0.1:{self.serving.plain_port}/readyz", headers=headers, timeout=30)
        assert answer.status_code == 200
        return answer.text


@contextmanager
def auditing(cluster: ControlPlane, folder: Path, store: Path | None) -> Iterator[Webhook]:
    """A webhook that audits, with a store or without."""
    certificate, key = cluster.authority.issue("127.0.0.1")
    token = folder / "token"
    token.write_text("let-me-read")
    arguments: list[str | Path] = ["serve", "--bundle", BUNDLE, "--mode", "audit", "--kubeconfig", cluster.kubeconfig]
    arguments += ["--tls-cert", certificate, "--tls-key", key, "--status-token-file", token]
    arguments += ["--log-decisions", "none", *(("--store", store) if store else ())]
    with running(cluster, arguments) as serving:
        yield Webhook(serving, token)


@pytest.fixture
def recorded(cluster: ControlPlane, namespace: str) -> list[str]:
    """Reviews that the API server sent, with the same uid."""
    reviews: list[bytes] = []
    (port,) = free_ports(1)
    with hooks.serving(cluster, port, lambda _: [], reviews=reviews):
        configuration = cluster.webhook_configuration("recorder", f"https://127.0.0.1:{port}/", namespaces=[namespace])
        cluster.activate(configuration, namespace)
        reviews.clear()
        for number in range(KINDS):
            cluster.create_pod(namespace, a_pod(number), dry_run=True)
    cluster.api("DELETE", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/recorder")
    assert len(reviews) == KINDS
    bodies = [json.loads(body) for body in reviews]
    return [json.dumps(body).replace(body["request"]["uid"], UID_HERE) for body in bodies]


def direct(cluster: ControlPlane, webhook: Webhook, bodies: Sequence[str], seconds: float, number: int) -> Load:
    """Recorded reviews at the rate, sent to the webhook itself."""
    return Load(webhook.serving.url, str(cluster.authority.bundle), bodies, RATE, seconds, first=number * UIDS)


def through(cluster: ControlPlane, namespace: str, manager: str, rate: float, seconds: float) -> Load:
    """Dry runs, sent to the API server, which asks the webhook of this manager, or none."""
    url = f"{cluster.url}/api/v1/namespaces/{namespace}/pods?dryRun=All&fieldManager={manager}"
    bodies = [json.dumps(a_pod(number)) for number in range(KINDS)]
    headers = {"Authorization": f"Bearer {cluster.token}"}
    return Load(url, str(cluster.authority.bundle), bodies, rate, seconds, 16, headers)


def rows(store: Path) -> list[tuple[int, str]]:
    """The numbers and uids in the store, in order."""
    found = []
    for path in sorted(store.glob("*.sqlite")):
        with closing(Reader(path)) as reader:
            kept = ((number, reader.row(number)) for number in reader.numbers())
            found += [(number, row.uid) for number, row in kept if row]
    return found


def settled(webhook: Webhook) -> None:
    """Wait until nothing waits for the store."""
    wait_for(lambda: webhook.metric("bayplan_store_queue_depth") == 0, "the queue to be empty", webhook.serving.tail)


def test_no_admission_waits_for_the_store(
    cluster: ControlPlane, namespace: str, recorded: list[str], tmp_path: Path
) -> None:
    """In turns, with a store and without: through the API server as fast as that goes, and 500 a second directly."""
    store = tmp_path / "store"
    with auditing(cluster, tmp_path, None) as bare, auditing(cluster, tmp_path, store) as storing:
        both = {"without": bare, "with": storing}
        for name, webhook in both.items():
            cluster.apply(chosen(cluster, webhook.serving, name, [namespace]))
        for name, webhook in both.items():

            def arrives(name: str = name, webhook: Webhook = webhook) -> bool:
                asked(through(cluster, namespace, name, 0.0, 0.2))
                return webhook.metric("bayplan_admission_requests_total") > 0

            wait_for(arrives, f"the webhook {name} to be asked")
        servers: dict[str, list[Measured]] = {"without": [], "with": [], "nobody": []}
        straight: dict[str, list[Measured]] = {"without": [], "with": []}
        for round_ in range(ROUNDS):
            for name in servers:
                servers[name].append(asked(through(cluster, namespace, name, 0.0, SECONDS / 2)))
            for place, name in enumerate(straight):
                load = direct(cluster, both[name], recorded, SECONDS, 2 * round_ + place)
                straight[name].append(asked(load))
        told = {f"API server, {name}": together(*parts) for name, parts in servers.items()}
        told |= {f"directly, {name}": together(*parts) for name, parts in straight.items()}
        for name, measured in told.items():
            print(measured.told(name))
            assert measured.wrong == [], name
        settled(storing)
        decided = int(storing.metric("bayplan_admission_requests_total"))
        size = storing.metric("bayplan_store_bytes") / 2**20
        print(f"{storing.kept} of {decided} are kept, {storing.dropped} dropped, {size:.1f} MiB")
        assert storing.kept + storing.dropped == decided
        assert len(rows(store)) == storing.kept
    one, other = told["directly, without"], told["directly, with"]
    assert other.quantile(50) < 2 * one.quantile(50) + 1
    assert other.quantile(99) < 3 * one.quantile(99) + 5


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of so many MiB in a file."""
    image, place = folder / "disk.img", folder / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(size << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["fsfreeze", "-u", place], check=False, capture_output=True)
        subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_hangs_holds_nobody_up(cluster: ControlPlane, recorded: list[str], tmp_path: Path) -> None:
    """Each write to a frozen file system waits until it is thawed: for seconds here, in which 500 a second come."""
    with disk(tmp_path, 64) as place, auditing(cluster, tmp_path, place / "store") as webhook:
        before = asked(direct(cluster, webhook, recorded, SECONDS, 0))
        settled(webhook)
        subprocess.run(["fsfreeze", "-f", place], check=True)
        frozen = asked(direct(cluster, webhook, recorded, SECONDS, 1))
        kept, waiting = webhook.kept, webhook.metric("bayplan_store_queue_depth")
        subprocess.run(["fsfreeze", "-u", place], check=True)
        settled(webhook)
        decided = int(webhook.metric("bayplan_admission_requests_total"))
        print(before.told("a sound disk"), frozen.told("a frozen one"), sep="\n")
        print(f"{waiting:.0f} waited, {webhook.dropped} were dropped, {webhook.kept} of {decided} are kept")
        assert (before.wrong, frozen.wrong) == ([], [])
        assert frozen.quantile(100) < max(1000 * SECONDS / 4, 2 * before.quantile(100))
        assert frozen.quantile(99) < 3 * before.quantile(99) + 5
        assert waiting > min(len(frozen.took), 2_000) / 2
        assert webhook.kept > kept
        wait_for(lambda: webhook.kept + webhook.dropped == decided, "all to be kept or dropped", webhook.serving.tail)
        assert len(rows(place / "store")) == webhook.kept


def test_a_full_disk_is_told_of_and_the_webhook_serves_on(
    cluster: ControlPlane, recorded: list[str], tmp_path: Path
) -> None:
    with disk(tmp_path, 16) as place, auditing(cluster, tmp_path, place / "store") as webhook:
        filler = place / "filler"
        room = os.statvfs(place)
        filler.write_bytes(b"x" * (room.f_bavail * room.f_bsize - (1 << 20)))  # what is left is the store's
        load = Asking(direct(cluster, webhook, recorded, 4 * SECONDS, 0))
        wait_for(lambda: webhook.metric("bayplan_store_failing") == 1, "the disk to be full", webhook.serving.tail)
        assert "the disk is full" in webhook.ready()
        assert "decisions are not kept: " in webhook.serving.tail()
        assert "the disk is full" in webhook.serving.tail()
        assert webhook.metric("bayplan_store_failures_total") >= 1
        kept = webhook.kept
        assert len(rows(place / "store")) == kept
        measured = load.done()
        print(
            measured.told("a full disk"),
            f"{kept} were kept until it was full, {webhook.dropped} were dropped",
            sep="\n",
        )
        assert measured.wrong == []
        assert measured.quantile(99) < 1000
        filler.unlink()
        wait_for(lambda: webhook.metric("bayplan_store_failing") == 0, "it to be written again", webhook.serving.tail)
        assert webhook.ready() == "ok\n"
        assert "decisions are kept again" in webhook.serving.tail()
        settled(webhook)
        decided = int(webhook.metric("bayplan_admission_requests_total"))
        wait_for(lambda: webhook.kept + webhook.dropped == decided, "all to be kept or dropped", webhook.serving.tail)
        assert len(rows(place / "store")) == webhook.kept > kept


def test_a_failing_disk_is_told_of_and_the_webhook_serves_on(
    cluster: ControlPlane, recorded: list[str], tmp_path: Path
) -> None:
    """A disk whose every read and write ends with an I/O error from one moment on."""
    with disk(tmp_path, 64) as place, auditing(cluster, tmp_path, place / "store") as webhook:
        load = Asking(direct(cluster, webhook, recorded, 2 * SECONDS, 0))
        wait_for(lambda: webhook.kept > RATE, "decisions to be kept")
        shut_down(place)
        wait_for(lambda: webhook.metric("bayplan_store_failing") == 1, "the failure", webhook.serving.tail)
        told = webhook.ready()
        measured = load.done()
        print(measured.told("a failing disk"), told, sep="\n")
        assert measured.wrong == []
        assert measured.quantile(99) < 1000
        assert "can't be written" in told
        assert "decisions are not kept: " in webhook.serving.tail()
        assert webhook.metric("bayplan_store_queue_depth") + webhook.dropped > 0


def shut_down(place: Path) -> None:
    """Have a file system answer all from now on with an I/O error (EXT4_IOC_SHUTDOWN, which flushes nothing)."""
    import fcntl
    import struct

    folder = os.open(place, os.O_RDONLY)
    try:
        fcntl.ioctl(folder, 0x8004587D, struct.pack("I", 2))
    finally:
        os.close(folder)


def test_kill_9_loses_nothing_that_was_acknowledged(cluster: ControlPlane, recorded: list[str], tmp_path: Path) -> None:
    """Again and again on one folder, at any moment of 500 admissions a second; what was kept before stays, too."""
    store, dice, before = tmp_path / "store", random.Random(0), list[tuple[int, str]]()
    for attempt in range(8):
        with auditing(cluster, tmp_path, store) as webhook:
            load = Asking(direct(cluster, webhook, recorded, SECONDS, attempt))
            wait_for(lambda webhook=webhook: webhook.kept > 0, "the first to be kept", webhook.serving.tail)  # type: ignore[misc]
            time.sleep(dice.uniform(0.0, 2.0))
            acknowledged = webhook.kept
            webhook.serving.kill()
            load.done()
        now = rows(store)
        print(f"attempt {attempt}: {acknowledged} acknowledged, {len(now) - len(before)} there")
        assert now[: len(before)] == before
        assert len(now) - len(before) >= acknowledged > 0
        mine = [uid for _, uid in now[len(before) :]]
        assert len(set(mine)) >= len(mine) - 32  # the first of each connection have the same
        before = now
