"""The web page of the Miracle Service stand-in: what the reverse proxy has to reach, and no more.

``python -m lab.world.miracle --host ADDRESS --port N``. The page echoes the host name and scheme that it was asked under, so that
a test can see what the proxy told it.
"""

from __future__ import annotations

import argparse
import html
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Miracle Service (stand-in)</title></head>
<body><h1>Miracle Service</h1>
<p>This is the lab's stand-in for a Miracle Service web server. It was asked for <b>{path}</b> as <b>{scheme}://{host}</b>.</p>
</body></html>
"""


class Page(BaseHTTPRequestHandler):
    """Answers every path with the same page."""

    server_version = "MiracleServiceStandIn"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the page."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send the page's headers."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        body = PAGE.format(
            path=html.escape(self.path),
            scheme=html.escape(self.headers.get("X-Forwarded-Proto", "http")),
            host=html.escape(self.headers.get("Host", "")),
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.world.miracle", description="The Miracle Service stand-in's web page.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args(arguments)
    with ThreadingHTTPServer((options.host, options.port), Page) as server:
        print(f"miracle: listening on {options.host}:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
