"""Other people's webhooks: small ones over HTTPS, each a function from a pod to what it changes."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .controlplane import ControlPlane, Json

Change = Callable[[Json], Sequence[Json]]
"""From a pod to RFC 6902 operations."""


@contextmanager
def serving(
    cluster: ControlPlane,
    port: int,
    change: Change,
    *,
    host: str = "127.0.0.1",
    reviews: list[bytes] | None = None,
    **more: Json,
) -> Iterator[list[Json]]:
    """Answer reviews at a port of this machine, with a certificate for `host`, and with `more` in each response.

    The list has the pods that it was asked about so far, as they were; `reviews` gets what was sent, word for word.
    """
    asked: list[Json] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            review = json.loads(body)
            if reviews is not None:
                reviews.append(body)
            asked.append(review["request"]["object"])
            patch = base64.b64encode(json.dumps(list(change(asked[-1]))).encode()).decode()
            response = {"uid": review["request"]["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
            said = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {**response, **more}}
            answer = json.dumps(said).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*cluster.authority.issue(host))
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()
