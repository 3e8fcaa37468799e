# SPDX-License-Identifier: Apache-2.0
"""A web server in the test process that misbehaves as asked."""

import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """One path, and how it is served."""

    data: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    """Honour Range."""
    break_after: list[int] = field(default_factory=list)
    """Bytes after which the connection is cut, one per request; the next requests run through."""
    statuses: list[int] = field(default_factory=list)
    """Error codes to answer with, one per request, before anything is served."""
    kind: str = "application/octet-stream"
    lie_about_start: bool = False
    length: bool = True
    says_total: bool = True
    pause_s: float = 0.0
    """Between pieces of 100 kB."""
    retry_after: str | None = None


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that hangs up is part of the game."""


class FileServer:
    """Pages by path; `asked` records the Range header of every request."""

    def __init__(self):
        self.pages: dict[str, Page] = {}
        self.asked = defaultdict(list)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}/{path}"


@contextmanager
def serving():
    server = FileServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args):
            pass

        def do_GET(self):
            path = self.path.lstrip("/").partition("?")[0]
            server.asked[path].append(self.headers.get("Range"))
            page = server.pages.get(path)
            if page is None:
                self.send_error(404)
            elif page.statuses:
                self.refuse(page)
            else:
                self.serve(page)

        def refuse(self, page):
            self.send_response(page.statuses.pop(0))
            if page.retry_after:
                self.send_header("Retry-After", page.retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def serve(self, page):
            start = self.wanted_start(page)
            if start and start >= len(page.data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(page.data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = page.data[start:]
            self.send_response(206 if start else 200)
            if start:
                said = start + 1 if page.lie_about_start else start
                last, total = len(page.data) - 1, len(page.data)
                self.send_header(
                    "Content-Range", f"bytes {said}-{last}/{total if page.says_total else '*'}"
                )
            if page.length:
                self.send_header("Content-Length", str(len(body)))
            if page.etag:
                self.send_header("ETag", page.etag)
            self.send_header("Content-Type", page.kind)
            self.send_header("Connection", "close")
            self.end_headers()
            if page.break_after:
                body = body[: page.break_after.pop(0)]
            self.close_connection = True
            for at in range(0, len(body), 100_000):
                self.wfile.write(body[at : at + 100_000])
                time.sleep(page.pause_s)

        def wanted_start(self, page):
            wanted = self.headers.get("Range")
            condition = self.headers.get("If-Range")
            stale = condition is not None and condition != page.etag
            if wanted is None or not page.ranges or stale:
                return 0
            return int(wanted.removeprefix("bytes=").rstrip("-"))

    httpd = _Quiet(("127.0.0.1", 0), Handler)
    server.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
