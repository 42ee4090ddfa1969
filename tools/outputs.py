"""Records what a tree of Bayplan says, and compares two recordings: byte for byte, whatever its modules are called.

    python tools/outputs.py inputs INPUTS [--cases DIR] [--messages FILE]
    python tools/outputs.py record INPUTS OUT
    python tools/outputs.py compare A B

The working directory is the tree, and PYTHONPATH says so too. `inputs` is run once and makes plain files: bundles,
pools, pods, reviews, and the list of calls. `record` makes those calls in a copy of the files and writes a JSON line
for each; it knows of the tree only `cli.main.main` and `bayplan serve`. `compare` exits 1 where anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import gzip
import hashlib
import http.client
import importlib
import io
import json
import multiprocessing
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

Json = Any
TREE = Path.cwd()
CHECKED: set[str] = set()
SHOWN, LINES = 20, 40  # differences, and lines of each

# Recording

BAYPLAN = (sys.executable, "-m", "cli.main")
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)*(?:\w+\.)*(?=\w)")
VOLATILE = r"(?:process_|python_|bayplan\w*_(?:seconds_bucket|seconds_sum|created|timestamp_seconds))"
RUN = [
    (re.compile(r"(?m)^\d{4}-\d\d-\d\dT[\d:.]+Z "), "TIME "),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r", \d+ ms\)"), ", N ms)"),
    (re.compile(r'"(time|latencySeconds)":("[^"]*"|[-\d.e]+)'), r'"\1":N'),
    (re.compile(r"caBundle: \S+"), "caBundle: PEM"),
    (re.compile(rf"(?m)^({VOLATILE}[^ {{]*(?:\{{.*\}})?) \S+$"), r"\1 N"),
]
"""What differs from run to run of the webhook: times, ports, durations, the certificate, and metrics of these."""


def ran(argv: Sequence[str], stdin: str = "") -> Json:
    """What a command says, run in this process; but `serve`, which sets up logging, in one of its own."""
    if argv[:1] == ["serve"]:
        done = subprocess.run([*BAYPLAN, *argv], input=stdin, capture_output=True, encoding="utf-8", timeout=300)
        return said(done.returncode, done.stdout, done.stderr)
    main = importlib.import_module("cli.main").main
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(list(argv))
    except BaseException as error:
        status = f"raised {type(error).__name__}"
    finally:
        sys.stdin = before
    return said(status, out.getvalue(), err.getvalue())


def said(status: Json, out: str, err: str = "") -> Json:
    """A record, without the places of this machine and of the tree's modules."""
    places = ((os.getcwd(), "WORK"), (str(TREE), "TREE"))
    for place, word in places:
        out, err = out.replace(place, word), err.replace(place, word)
    out, err = TRACEBACK.sub("Traceback: ", out), TRACEBACK.sub("Traceback: ", err)
    return {"status": status, "out": out, "err": err}


def decisions_in(argv: Sequence[str], record: Json) -> int:
    """How many decisions a command printed as JSON."""
    counted = argv[:1] in (["explain"], ["audit"]) and "json" in argv and record["out"].startswith("[")
    return len(json.loads(record["out"])) if counted else 0


def done(job: Json) -> list[str]:
    """The records of a job, as lines."""
    kind, calls, records = job["kind"], job["calls"], []
    if kind == "webhook":
        records = [(key, told, int('"allowed":' in told["out"])) for key, told in served(calls[0])]
    else:
        for number, argv in enumerate(calls):
            told = ran(argv, job.get("stdin", ""))
            serial = f" #{number}" * (argv in calls[:number])
            records.append((f"bayplan {shlex.join(argv)}{serial}", told, decisions_in(argv, told)))
    for file in sorted(Path(job["files"]).rglob("*.*")) if "files" in job else ():
        records.append((f"file {file}", said(0, file.read_text()), 0))
    own_modules_only()
    return [json.dumps({"key": f"{kind}: {key}", **told, "decisions": count}) for key, told, count in records]


def served(call: Sequence[str]) -> Iterator[tuple[str, Json]]:
    """What a webhook answers, and what it tells of itself; in the end its bundle is broken, mended and changed."""
    name, sample, *flags = call
    at = Path("serving", name)
    shutil.copytree(sample, at)
    files = {"out": at.with_suffix(".out"), "err": at.with_suffix(".err"), "config": at.with_suffix(".config")}
    listen = ("--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--dev", "--dev-config", str(files["config"]))
    command = [*BAYPLAN, "serve", "--bundle", str(at), "--pools", str(at / "pools"), *listen, *flags]
    with files["out"].open("wb") as out, files["err"].open("wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    try:
        log = waited(files["err"], "serving health")
        admission, health = (int(port) for port in re.findall(r"https?://127.0.0.1:(\d+)", log))
        reviews = json.loads(Path("reviews.json").read_text())
        for number, one in enumerate(reviews):
            yield f"{name} {number:03}", asked(admission, one)
        bundle, broken = at / "bundle.yaml", at / "policies/broken.yaml"
        broken.write_text("a: [")
        waited(files["err"], "was not activated")
        yield f"{name} broken", asked(admission, reviews[0])
        yield f"{name} readyz when broken", asked(health, {"path": "/readyz", "method": "GET"}, plain=True)
        broken.unlink()
        Path("next").write_text(re.sub(r"(?m)^(  version: ).*$", r"\g<1>9.9.9", bundle.read_text()))
        Path("next").replace(bundle)
        waited(files["err"], "@9.9.9")
        yield f"{name} changed", asked(admission, reviews[0])
        time.sleep(0.2)  # what was decided is being logged
        for path in ("/metrics", "/readyz", "/healthz", "/docs", "/"):
            yield f"{name} {path}", asked(health, {"path": path, "method": "GET"}, plain=True)
    finally:
        process.terminate()
        status = process.wait(30)
    for what, file in files.items():
        yield f"{name} {what}", said(status, normal(file.read_text()))


def asked(port: int, one: Json, *, plain: bool = False) -> Json:
    """The answer to a request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    if not plain:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
    body = (one.get("body", "") + " " * one.get("pad", 0)).encode()
    headers = {"content-type": one.get("type", "application/json").encode(), "connection": "close"}
    with contextlib.closing(connection):
        try:
            connection.request(one.get("method", "POST"), one.get("path", "/mutate"), body or None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            same = normal(text) == text
            told = [f"{name}: {value}\n" for name, value in answer.getheaders() if same or name != "content-length"]
            return said(answer.status, normal(text), "".join(sorted(told)))
        except OSError as error:
            return said(type(error).__name__, "")


def waited(file: Path, wanted: str) -> str:
    """The text of a file, once it holds these words."""
    end = time.monotonic() + 60
    while wanted not in (text := file.read_text()):
        assert time.monotonic() < end, f"`{wanted}` is not in:\n{text[-2000:]}"
        time.sleep(0.02)
    return text


def normal(text: str) -> str:
    for pattern, replacement in RUN:
        text = pattern.sub(replacement, text)
    return text


def opened(path: Path, mode: str) -> IO[str]:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.GzipFile(path, mode, 1), encoding="utf-8")
    return path.open(mode, encoding="utf-8")


def own_modules_only() -> None:
    """Refuse modules that are neither this tree's nor installed: an editable installation leads to another tree."""
    places = [Path(place).resolve() for place in (TREE, sys.prefix, sys.base_prefix, __file__)]
    for name in sys.modules.keys() - CHECKED:
        file = getattr(sys.modules[name], "__file__", None)
        known = not file or any(Path(file).resolve().is_relative_to(place) for place in places)
        assert known, f"`{name}` is of another tree: {file}"
        CHECKED.add(name)
    file = sys.modules["cli"].__file__
    assert Path(file or "/").is_relative_to(TREE), f"`cli` is not of this tree: {file}"


def record(inputs: Path, out: Path, processes: int, only: Sequence[str]) -> None:
    """Make all the calls, or only those of some kinds, in a copy of the inputs."""
    importlib.import_module("cli.main")
    own_modules_only()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        os.environ |= {"COLUMNS": "100", "HOME": str(home), "KUBECONFIG": str(home / "none"), "PYTHONPATH": str(TREE)}
        work = shutil.copytree(inputs, Path(folder, "work"), symlinks=True)
        jobs = [json.loads(line) for line in (work / "calls.jsonl").read_text().splitlines()]
        jobs = [job for job in jobs if not only or job["kind"] in only]
        with multiprocessing.get_context("fork").Pool(processes, _at_work, [work]) as pool, opened(out, "w") as lines:
            for some in pool.imap(done, jobs):
                lines.writelines(f"{line}\n" for line in some)


def _at_work(folder: Path) -> None:
    os.chdir(folder)


# Comparing


def compare(a: Path, b: Path) -> int:
    """Tell what was compared, and the first differences."""
    digests: list[dict[str, str]] = []
    kinds, decisions = Counter[str](), Counter[str]()
    for path in (a, b):
        digests.append({})
        for line, one in _records(path):
            digests[-1][one["key"]] = hashlib.sha256(line.encode()).hexdigest()
            if len(digests) == 1:
                kind = one["key"].partition(":")[0]
                kinds[kind] += 1
                decisions[kind] += one["decisions"]
    left, right = digests
    for kind, count in kinds.items():
        print(f"{count:7,} {kind}" + (f", {decisions[kind]:,} decisions" if decisions[kind] else ""))
    differing = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    print(f"{kinds.total():7,} records, {decisions.total():,} decisions, {len(differing):,} differences")
    shown = dict.fromkeys(differing[:SHOWN])
    texts = [{one["key"]: one for _, one in _records(path) if one["key"] in shown} for path in (a, b) if shown]
    for key in shown:
        print(f"\n{key}")
        before, after = (_lines(some.get(key)) for some in texts)
        for line in list(difflib.unified_diff(before, after, str(a), str(b), lineterm=""))[:LINES]:
            print(f"  {line[:400]}")
    return int(bool(differing))


def _records(path: Path) -> Iterator[tuple[str, Json]]:
    with opened(path, "r") as lines:
        for line in lines:
            yield line, json.loads(line)


def _lines(one: Json) -> list[str]:
    if one is None:
        return ["no record"]
    return [f"{name}: {line}" for name in ("status", "out", "err") for line in str(one[name]).splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    inputs = commands.add_parser("inputs", help="make the inputs, once")
    inputs.add_argument("inputs", type=Path)
    inputs.add_argument("--cases", type=Path, help="folders with bundle/, pods.yaml, pools.yaml")
    inputs.add_argument("--messages", type=Path, help="a file of messages that show mistakes, with line and text")
    recording = commands.add_parser("record", help="record what this tree says")
    recording.add_argument("inputs", type=Path)
    recording.add_argument("out", type=Path, help="a file of JSON lines; .gz compresses it")
    recording.add_argument("--processes", type=int, default=2)
    recording.add_argument(
        "--only", metavar="KIND", action="append", default=[], help="only this kind; may be repeated"
    )
    comparing = commands.add_parser("compare", help="compare two recordings")
    comparing.add_argument("a", type=Path)
    comparing.add_argument("b", type=Path)
    args = parser.parse_args()
    if args.command == "compare":
        return compare(args.a, args.b)
    if args.command == "inputs":
        importlib.import_module("scenarios").make_inputs(args.inputs, args.cases, args.messages)
    else:
        record(args.inputs, args.out, args.processes, args.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
