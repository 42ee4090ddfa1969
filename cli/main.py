"""`bayplan`: a table of commands. A command's module is imported only when that command runs."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from cli.errors import CommandError

COMMANDS = {
    "init": "make a small bundle that passes check and test",
    "check": "find everything that is wrong in bundles",
    "test": "run a bundle's own tests",
    "explain": "say where pods would go, and why",
    "audit": "say what a bundle would change for workloads that exist already",
    "build": "make an archive of a bundle, the same bytes from whoever builds it",
    "bundle": "write a bundle for the chart: a ConfigMap, or values for Helm",
    "sign": "sign an archive of a bundle",
    "verify": "say who vouches for a bundle",
    "push": "put an archive of a bundle into a registry",
    "pull": "take the archive of a bundle out of a registry",
    "diff": "say what changes from one revision of a bundle to another",
    "replay": "make decisions again that a webhook kept, as they were made or by other bundles and pools",
    "pools": "list pools as policies see them",
    "schema": "write the JSON Schema of a bundle's documents, for editors",
    "crds": "write the definitions of policies as objects of a cluster",
    "serve": "answer the API server as its admission webhook",
    "status": "say which revisions running webhooks serve",
    "rollback": "have them go back to the revision before",
    "pin": "have them stay at a revision",
    "suspend": "have them not ask a source any more",
    "resume": "have them follow a source again",
}
FINE, FINDINGS, COULD_NOT_RUN = 0, 1, 2
GARBAGE = 50_000
"""Objects after which a command looks for garbage: most of what one makes, its modules first, is there until it ends,
and to look through it again and again takes an eighth of `check`."""
DETAILED = {FINDINGS: COULD_NOT_RUN, COULD_NOT_RUN: FINDINGS}
"""Exit status with `diff --detailed-exitcode`, by what it is without: what `terraform plan` means by it."""


def process() -> None:
    """Run the command line of this process, and end it."""
    status = main()
    gc.freeze()  # what ends with the process is not looked through for garbage, a fifth of what `check` takes
    sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; its exit status: 0 fine, 1 findings, 2 could not run."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0].startswith("-"):
        return _alone(words)
    command, rest = words[0], words[1:]
    if command not in COMMANDS:
        return _unknown(command)
    gc.set_threshold(GARBAGE)
    status = _guarded(command, rest)
    return DETAILED.get(status, status) if command == "diff" and "--detailed-exitcode" in rest else status


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of one command. Its module's docstring is the help: the first paragraph above, the rest below."""
    module = _module(command)
    about, _, more = (module.__doc__ or "").strip().partition("\n\n")
    parser = argparse.ArgumentParser(
        prog=f"bayplan {command}",
        description=about,
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add(parser)
    return parser


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"cli.{command}")


def _alone(words: list[str]) -> int:
    width = max(map(len, COMMANDS))
    table = "\n".join(f"  {name:<{width}}  {line}" for name, line in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="bayplan",
        usage="bayplan COMMAND [ARGUMENTS...]",
        description="Placement policy as code for Kubernetes: CEL intents in, native affinity out.",
        epilog=f"commands:\n{table}\n\n`bayplan COMMAND --help` says more about each, with an example.\n"
        "exit status: 0 fine, 1 findings, 2 could not run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    options = _parsed(parser, words or ["--help"])
    if isinstance(options, int):
        return options
    if options.version:
        from engine.release import VERSION

        print(f"bayplan {VERSION}")
    return FINE


def _parsed(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace | int:
    """The arguments, or the exit status where argparse has said everything already."""
    try:
        return parser.parse_args(words)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else COULD_NOT_RUN


def _unknown(command: str) -> int:
    from engine.documents import did_you_mean

    hint = did_you_mean(command, COMMANDS)
    _complain(f"there is no command `{command}`" + (f"; {hint}" if hint else f": {', '.join(COMMANDS)}"))
    return COULD_NOT_RUN


def _guarded(command: str, words: list[str]) -> int:
    """Run a command; what its user did wrong is one message, what we did wrong is a traceback and a request."""
    from cli.terminal import safely_shown

    with safely_shown():
        return _run(command, words)


def _run(command: str, words: list[str]) -> int:
    from engine.documents import BundleError, RequestError

    try:
        options = _parsed(parser_of(command), words)
        status = options if isinstance(options, int) else int(_module(command).run(options))
        sys.stdout.flush()
        return status
    except BundleError as error:
        print(error, file=sys.stderr)
        wrong = sum(problem.severity == "error" for problem in error.problems)
        _complain(f"nothing was done: {wrong} {'error' if wrong == 1 else 'errors'} above")
    except (CommandError, RequestError) as error:
        _complain(str(error))
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        return 130
    except Exception:
        import traceback

        traceback.print_exc()
        _complain("this is a bug of Bayplan, not of yours: please report the lines above")
    return COULD_NOT_RUN


def _complain(message: str) -> None:
    print(f"bayplan: {message}", file=sys.stderr)


if __name__ == "__main__":
    process()
