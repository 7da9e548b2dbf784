"""A fake OpenID Connect issuer over HTTPS on loopback, for whole servers."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trustme
from tests.adapters.oidc.issuing import FakeIssuer


@contextmanager
def issuing(ca: trustme.CA) -> Iterator[FakeIssuer]:
    """With a certificate of `ca`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server wants
            document = {
                "/keys": {"keys": issuer.keys},
                "/.well-known/openid-configuration": issuer.discovery,
            }.get(self.path)
            body = json.dumps(document).encode()
            issuer.asked.append(self.path)
            self.send_response(200 if document else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        issuer = FakeIssuer(f"https://localhost:{listening.server_address[1]}")
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield issuer
        finally:
            listening.shutdown()
            thread.join()
