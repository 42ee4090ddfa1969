"""A small API server that lists and watches like the real one, and fails when it is told to."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Json = Any
Fault = Callable[["Handler"], None]
NODES, NAMESPACES = "/api/v1/nodes", "/api/v1/namespaces"
NODE_POOLS = "/apis/karpenter.sh/v1/nodepools"


class ApiServer:
    """Nodes and Namespaces by name, every change with a version of its own, and watches that follow."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.authorizations: list[str] = []
        self.written: list[tuple[str, str, str, Json]] = []
        """Method, path, media type and body of what was asked for that is no GET."""
        self.faults: deque[Fault] = deque()
        self.changed = threading.Condition()
        self.version = 1
        self.oldest = 0
        self.objects: dict[str, dict[str, Json]] = {NODES: {}, NAMESPACES: {}}
        self.events: list[tuple[int, str, str, Json]] = []
        self.bookmarks = 0
        self.cuts = 0
        self.forbidden: set[str] = set()
        """Paths that nobody may read."""
        self.instead: dict[str, Fault] = {}
        """What to do for each request of a path, instead of answering."""
        self.closed = False
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.api = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[ApiServer]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            with self.changed:
                self.closed = True
                self.changed.notify_all()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def kubeconfig(self, folder: Path, token: str = "secret") -> str:
        """A kubeconfig file that leads here."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "small", "cluster": {"server": self.url}}],
            "users": [{"name": "small", "user": {"token": token}}],
            "contexts": [{"name": "small", "context": {"cluster": "small", "user": "small"}}],
            "current-context": "small",
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return str(path)

    def put(self, name: str, labels: dict[str, str] | None = None, path: str = NODES, **more: Json) -> None:
        """Create or replace an object."""
        with self.changed:
            self.version += 1
            namespace = more.get("metadata", {}).get("namespace")
            key = f"{namespace}/{name}" if namespace else name
            kind = "ADDED" if key not in self.objects[path] else "MODIFIED"
            own = {"name": name, "labels": labels or {}, "resourceVersion": str(self.version)}
            thing = {**more, "metadata": {**more.get("metadata", {}), **own}}
            self.objects[path][key] = thing
            self._note(kind, path, thing)

    def delete(self, name: str, path: str = NODES) -> None:
        """Delete an object, called `namespace/name` where it has a namespace."""
        with self.changed:
            self.version += 1
            thing = self.objects[path].pop(name)
            self._note(
                "DELETED", path, {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}
            )

    def install(self, path: str) -> None:
        """Serve one more kind of objects, as when its custom resource definition is made."""
        with self.changed:
            self.objects[path] = {}

    def uninstall(self, path: str) -> None:
        """Serve a kind no longer: its objects are deleted, its watches end, and then there is no such path."""
        for name in list(self.objects[path]):
            self.delete(name, path)
        with self.changed:
            del self.objects[path]
            self.cuts += 1
            self.changed.notify_all()

    def bookmark(self) -> None:
        """Send every watch a bookmark at the current version."""
        with self.changed:
            self.version += 1
            self.bookmarks += 1
            for path in self.objects:
                self._note("BOOKMARK", path, {"metadata": {"resourceVersion": str(self.version)}})

    def forget(self) -> None:
        """Compact: versions before the current one are gone."""
        with self.changed:
            self.oldest = self.version
            self.events.clear()

    def cut(self) -> None:
        """Cut every watch in the middle of its stream."""
        with self.changed:
            self.cuts += 1
            self.changed.notify_all()

    def fail(self, status: int, message: str = "", **headers: str) -> None:
        """Answer one request with a status."""

        def fault(handler: Handler) -> None:
            body = json.dumps({"kind": "Status", "message": message, "code": status}).encode()
            handler.whole(status, body, {key.replace("_", "-"): value for key, value in headers.items()})

        self.faults.append(fault)

    def queries(self, path: str = NODES) -> list[dict[str, str]]:
        return [query for asked, query in self.requests if asked == path]

    def lists(self) -> int:
        """How often listing Nodes was begun."""
        return sum("watch" not in query and "continue" not in query for query in self.queries())

    def watches(self) -> list[str]:
        """The versions that watches of Nodes began at."""
        return [query["resourceVersion"] for query in self.queries() if "watch" in query]

    def since(self, version: int, path: str) -> list[tuple[int, str, str, Json]]:
        """The events of one kind after a version."""
        return [event for event in self.events if event[0] > version and event[1] == path]

    def _note(self, kind: str, path: str, thing: Json) -> None:
        self.events.append((self.version, path, kind, thing))
        self.changed.notify_all()


class _Server(ThreadingHTTPServer):
    api: ApiServer
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Say nothing of clients that go away."""


class Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        api = self.server.api
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        api.requests.append((parts.path, query))
        api.authorizations.append(self.headers.get("Authorization", ""))
        if api.faults:
            api.faults.popleft()(self)
        elif parts.path in api.instead:
            api.instead[parts.path](self)
        elif parts.path in api.forbidden:
            self.whole(403, json.dumps({"kind": "Status", "message": f"no {parts.path}", "code": 403}).encode())
        elif parts.path not in api.objects:
            self._one(parts.path)
        elif "watch" in query:
            self._watch(parts.path, int(query["resourceVersion"]))
        else:
            self._list(parts.path, query)

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        """Take whatever it is, as the API server takes events."""
        api = self.server.api
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        api.written.append((self.command, self.path, self.headers["Content-Type"], body))
        if api.faults:
            api.faults.popleft()(self)
        else:
            self.whole(201 if self.command == "POST" else 200, json.dumps(body).encode())

    def whole(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Answer with a whole body."""
        self.send_response(status)
        for key, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def silent(self) -> None:
        """Say nothing until the server closes."""
        api = self.server.api
        with api.changed:
            api.changed.wait_for(lambda: api.closed)
        self.close_connection = True

    def begin(self) -> None:
        """Begin a stream."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _one(self, path: str) -> None:
        kind, _, name = path.rpartition("/")
        thing = self.server.api.objects.get(kind, {}).get(name)
        self.whole(200 if thing else 404, json.dumps(thing or {"kind": "Status", "code": 404}).encode())

    def _list(self, path: str, query: dict[str, str]) -> None:
        api = self.server.api
        with api.changed:
            names = sorted(api.objects.get(path, ()))
            start, size = int(query.get("continue", "0")), int(query["limit"])
            items = [api.objects[path][name] for name in names[start : start + size]]
            more = str(start + size) if start + size < len(names) else ""
            page = {"metadata": {"resourceVersion": str(api.version), "continue": more}, "items": items}
        self.whole(200, json.dumps(page).encode())

    def _watch(self, path: str, version: int) -> None:
        api = self.server.api
        if version < api.oldest:
            self.whole(410, b'{"kind":"Status","code":410,"message":"too old resource version"}')
            return
        self.begin()
        cuts = api.cuts
        while True:
            with api.changed:
                while not (news := api.since(version, path)) and not api.closed and api.cuts == cuts:
                    api.changed.wait()
                ended = api.closed or api.cuts != cuts
            if ended:
                self.close_connection = True
                return
            version = news[-1][0]
            lines = b"".join(json.dumps({"type": kind, "object": thing}).encode() + b"\n" for *_, kind, thing in news)
            half = len(lines) // 2
            try:
                self.chunk(lines[:half])  # chunks end anywhere
                self.chunk(lines[half:])
            except OSError:
                self.close_connection = True
                return

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
