"""Admission over HTTP: AdmissionReviews in, answers out; with its certificate, its configuration and its process.

The front of the pipeline: `review.py` reads a review to a pod and its request, `admission.py` has it decided and makes
the answer, `app.py` and `server.py` serve it over TLS, and `process.py` puts all of it together with delivery, cluster
and telemetry. Start with `admission.py`; it needs no HTTP.
"""

from webhook.admission import Admission
from webhook.certificates import CertificateError, server_context
from webhook.pair import development
from webhook.process import BundleOptions, Options, serve
from webhook.server import ListenError, address_of, listen
from webhook.storing import StoreOptions

__all__ = [
    "Admission",  # answers reviews, without HTTP
    "BundleOptions",  # one of the bundles of Options
    "CertificateError",  # the error of a certificate and key that can't be served
    "ListenError",  # the error of an address that can't be listened on
    "Options",  # what `bayplan serve` is given
    "StoreOptions",  # where decisions are kept, and how much of them
    "address_of",  # `HOST:PORT` of a listening socket
    "development",  # a new certificate, its key and its authority, for development
    "listen",  # a listening socket for `HOST:PORT`; raises ListenError
    "serve",  # serves until SIGTERM or SIGINT
    "server_context",  # the TLS context of a server, without certificates
]
