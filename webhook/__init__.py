"""Admission over HTTP: reviews in, answers out; its certificate, configuration and process."""

from webhook.certificates import CertificateError, development, server_context
from webhook.process import Options, serve
from webhook.server import ListenError, address_of, listen

__all__ = [
    "CertificateError",
    "ListenError",
    "Options",
    "address_of",
    "development",
    "listen",
    "serve",
    "server_context",
]
