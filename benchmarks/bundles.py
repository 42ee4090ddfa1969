"""What following a bundle in Git costs, in a repository of 10,000 commits and 2,300 files, over https on loopback.

    python -m benchmarks.bundles [--rounds N]

Each line is a process of its own that asks, beside another that serves `git http-backend`. Processor time is that of
the process that asks: for its first look, for a look when nothing has changed, and for fetching a bundle of 301 files,
checking and compiling it. Memory is by how much all of that, imports included, raises what was resident at most.
Standard output gets JSON lines, standard error a table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from delivery import Content, bundle_of, read_address, source_of
from engine.documents import BundleError
from engine.program import Program, compile_bundle
from tests.delivery import bundles
from tests.delivery.authority import Authority
from tests.delivery.git_servers import Repository, served

COMMITS, POLICIES, OTHERS = 10_000, 297, 2_000
LOOKS = 50


def write_history(repository: Repository, commits: int) -> None:
    """Fill a repository by `git fast-import`: so many commits, a bundle in the folder `bundle`, and other files."""
    files = {f"bundle/{name}": text for name, text in bundles.files().items()}
    for at in range(POLICIES):
        name = f"extra-{at}"
        files[f"bundle/policies/{name}.yaml"] = bundles.NAMED.replace("no-node-names", name).replace(
            "nodeName", "hostname"
        )
    files |= {f"other/{at % 40}/{at}.txt": f"{at} something else\n" * 20 for at in range(OTHERS)}
    lines = ["blob", "mark :1", "data 0", ""]
    for at in range(commits):
        lines += ["commit refs/heads/main", f"committer A <a@example.org> {1_700_000_000 + at} +0000", "data 1", "x"]
        if at == 0:
            for name, text in files.items():
                lines += [f"M 100644 inline {name}", f"data {len(text.encode())}", text]
        lines += [f"M 100644 inline changing/{at % 100}.txt", f"data {len(str(at))}", f"{at}"]
    repository.git("fast-import", "--quiet", "--force", stdin="\n".join([*lines, ""]).encode())


def asked(address: str, credentials: Path) -> dict[str, float]:
    """Processor seconds and MiB of asking a source from the beginning; for a process of its own."""
    before = _resident_at_most()  # dulwich and an HTTP client are imported by the first look
    source = source_of(read_address(address), credentials)
    found = {}
    for what, times, run in (
        ("the first look", 1, source.look),
        ("a look without change", LOOKS, source.look),
        ("a fetch", 1, source.fetch),
        ("fetched, checked and compiled", 1, lambda: _compiled(source.fetch())),
    ):
        started = time.process_time()
        for _ in range(times):
            run()
        found[what] = (time.process_time() - started) / times
    source.close()
    return {**found, "MiB": _resident_at_most() - before}


def _compiled(content: Content) -> Program:
    bundle, problems = bundle_of(content.files, content.problems)
    if bundle is None:
        raise BundleError(problems)
    return compile_bundle(bundle)


def _resident_at_most() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measured(address: str, credentials: Path) -> dict[str, float]:
    """As `asked`, of a new process."""
    command = [sys.executable, "-m", "benchmarks.bundles", "--ask", address, str(credentials)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ask", nargs=2, metavar=("ADDRESS", "CREDENTIALS"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.ask:
        print(json.dumps(asked(args.ask[0], Path(args.ask[1]))))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder, authority = Path(name), Authority()
        repository = Repository(folder / "served")
        write_history(repository, COMMITS)
        (folder / "ca.crt").write_text(authority.pem)
        with served(repository.folder, authority) as server:
            for kind in ("all of a commit", "what is asked for"):
                if kind == "what is asked for":
                    repository.allow("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant")
                address = f"git+{server.url}//bundle?branch=main"
                rounds = [measured(address, folder) for _ in range(args.rounds)]
                print(kind, file=sys.stderr)
                for what in rounds[0]:
                    value = statistics.median(each[what] for each in rounds)
                    shown = f"{value:8.1f}" if what == "MiB" else f"{1000 * value:8.1f} ms"
                    print(f"  {what:<30}  {shown}", file=sys.stderr)
                    print(json.dumps({"benchmark": "bundles", "server": kind, "what": what, "value": value}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
