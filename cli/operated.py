"""What `status`, `rollback`, `pin`, `suspend` and `resume` have in common: which webhooks, and how they are asked."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cli.errors import CommandError
from cli.terminal import RED, styled, table
from cluster import ClusterError, Replica, replica_at, replicas_of


class Answer(NamedTuple):
    """What a webhook answered: its bundles, or else why there are none."""

    replica: str
    bundles: list[dict[str, Any]]
    problem: str = ""
    store: dict[str, Any] | None = None


def add_replicas(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which webhooks are meant."""
    group = parser.add_argument_group("which webhooks")
    group.add_argument("--url", metavar="URL", help="the plain port of one: http://127.0.0.1:8080")
    group.add_argument("--deployment", default="bayplan", metavar="NAME", help="all pods of it (default: bayplan)")
    group.add_argument("-n", "--namespace", default="bayplan", metavar="NAME", help="where it is (default: bayplan)")
    group.add_argument("--context", metavar="NAME", help="the context of the kubeconfig (default: the current one)")
    group.add_argument("--kubeconfig", metavar="FILE", help="the kubeconfig (default: kubectl's)")
    group.add_argument("--port", type=int, default=8080, metavar="PORT", help="the pods' plain port (default: 8080)")
    group.add_argument("--token-file", metavar="FILE", help="the token of their --status-token-file")
    parser.add_argument("-o", "--output", choices=["text", "json"], default="text", help="how to print (text)")


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """The argument that says which of several bundles is meant."""
    parser.add_argument(
        "--bundle", default="", metavar="NAME", help="which one, by name or source, if there are several"
    )


def asked(args: argparse.Namespace, method: str, path: str, query: Mapping[str, str]) -> list[Answer]:
    """What each of the webhooks answers."""
    token = _token(args.token_file) if args.token_file else ""
    try:
        answers = [_answer(replica, method, path, query, token) for replica in _replicas(args)]
    except ClusterError as error:
        raise CommandError(str(error)) from error
    if not answers:
        raise CommandError(f"no pod of the Deployment `{args.deployment}` in `{args.namespace}` is running")
    return answers


def order(args: argparse.Namespace, path: str, query: Mapping[str, str]) -> int:
    """Tell all of the webhooks to do something, and say what each serves afterwards; the exit status."""
    query = {key: value for key, value in {**query, "bundle": args.bundle}.items() if value}
    return show(asked(args, "POST", path, query), args.output)


def show(answers: list[Answer], output: str) -> int:
    """Print what was answered. The exit status: 0 where all is well and the same everywhere."""
    if output == "json":
        told = [
            {"replica": one.replica, "bundles": one.bundles, "store": one.store, "message": one.problem}
            for one in answers
        ]
        print(json.dumps(told, indent=2))
    else:
        rows = [_row(answer.replica, bundle) for answer in answers for bundle in answer.bundles]
        if rows:
            print(table(rows, ("REPLICA", "REVISION", "SINCE", "STATE", "SOURCE")))
        if vouched := dict.fromkeys(_vouched(answers)):
            print("", *vouched, sep="\n")
        for line in dict.fromkeys(_complaints(answers)):
            print(("\n" if rows else "") + styled(line, RED))
    return int(any(True for _ in _complaints(answers)))


def _vouched(answers: list[Answer]) -> Iterator[str]:
    """Who vouches for what is active, where that was asked for."""
    for bundle in (bundle for answer in answers for bundle in answer.bundles):
        if bundle["verified"]:
            yield f"{_revision(bundle)}: {bundle['verified']}"


def _complaints(answers: list[Answer]) -> Iterator[str]:
    by_source: dict[str, set[str]] = {}
    shares: dict[str, set[int]] = {}
    for answer in answers:
        if answer.problem:
            yield f"{answer.replica}: {answer.problem}"
        for problem in (answer.store or {}).get("problems", ()):
            yield f"{answer.replica}: store: {problem}"
        for bundle in answer.bundles:
            by_source.setdefault(bundle["source"], set()).add(str(bundle["active_revision"]))
            shares.setdefault(bundle["source"], set()).add(bundle.get("percent", 100))
            if bundle["code"]:
                step = bundle["code"].removesuffix("_failed")
                yield f"{answer.replica}: the step `{step}` failed: {bundle['message']}"
            for problem in (bundle["store"], *bundle["damaged"]):
                if problem:
                    yield f"{answer.replica}: {problem}"
    for source, revisions in by_source.items():
        if len(revisions) > 1:
            yield f"{source}: not all replicas serve the same revision: {', '.join(sorted(revisions))}"
    for source, percents in shares.items():
        if len(percents) > 1:
            told = " and ".join(f"{percent} %" for percent in sorted(percents))
            yield f"{source}: not all replicas have it decide about the same workloads: {told} of them"


def _row(replica: str, bundle: Mapping[str, Any]) -> tuple[str, ...]:
    held = [word for word, there in (("pinned", bundle["pinned"]), ("suspended", bundle["suspended"])) if there]
    held += [f"{len(bundle['held_back'])} held back"] if bundle["held_back"] else []
    held += ["failing"] if bundle["code"] else []
    held += ["previous"] * (bundle.get("side") == "previous")
    held += [f"{bundle['percent']} % of workloads"] if bundle.get("percent", 100) != 100 else []
    since = str(bundle["last_successful_activation"] or "-").partition(".")[0]
    return replica, _revision(bundle), since, ", ".join(held) or "follows", bundle["source"]


def _revision(bundle: Mapping[str, Any]) -> str:
    """What is active, as decisions name it."""
    digest = str(bundle["digest"] or "").removeprefix("sha256:")[:8]
    return f"{bundle['name']}@{bundle['version']}+sha256:{digest}" if digest else "none"


def _answer(replica: Replica, method: str, path: str, query: Mapping[str, str], token: str) -> Answer:
    try:
        status, told = replica.ask(method, path, query, token)
    except ClusterError as error:
        return Answer(replica.name, [], str(error))
    if status == 401:
        return Answer(
            replica.name, [], "it does not know the token: see --token-file, and --status-token-file of `serve`"
        )
    if status != 200 or "bundles" not in told:
        return Answer(replica.name, [], str(told.get("message") or told.get("detail") or f"it answered {status}"))
    return Answer(replica.name, told["bundles"], store=told.get("store"))


def _replicas(args: argparse.Namespace) -> list[Replica]:
    if args.url:
        return [replica_at(args.url)]
    return list(replicas_of(args.kubeconfig, args.context, args.namespace, args.deployment, args.port))


def _token(path: str) -> str:
    try:
        token = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f"--token-file `{path}` can't be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        ) from error
    if not (token.isascii() and token.isprintable()):
        raise CommandError(f"--token-file `{path}` holds no token: expected one line of ASCII")
    return token
