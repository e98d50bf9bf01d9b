"""A deposit on this machine that misbehaves on demand."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Deposit:
    """Files as a Zenodo record lists them, and how the server errs.

    Parameters
    ----------
    files : dict of str to bytes
    cut_after : int or None
        Every answer ends after so many bytes of the body.
    ranges : bool
        Whether the server answers requests for the rest of a file.
    claims : dict
        Entries of the record that are not as they should be, by name of file.
    failures : list of int
        Codes of the first answers for files.
    """

    def __init__(self, files, *, cut_after=None, ranges=True, claims=None):
        self.files = files
        self.cut_after = cut_after
        self.ranges = ranges
        self.claims = claims or {}
        self.failures = []
        self.requests = []
        self.record_code = 200

    def __enter__(self):
        deposit = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                deposit.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/records/1"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def record(self):
        entries = []
        for name, content in self.files.items():
            entry = {
                "key": name,
                "size": len(content),
                "checksum": "md5:" + hashlib.md5(content).hexdigest(),
                "links": {"self": f"/api/records/1/files/{name}/content"},
            }
            entries.append(entry | self.claims.get(name, {}))
        return json.dumps({"files": entries}).encode()

    def answer(self, request):
        if not request.path.endswith("/content"):
            self.send(request, self.record_code, self.record())
            return
        span = request.headers.get("Range")
        name = request.path.split("/")[-2]
        self.requests.append((name, span))
        if self.failures:
            self.send(request, self.failures.pop(0), b"")
            return
        content = self.files[name]
        if span is None or not self.ranges:
            self.send(request, 200, content)
            return
        start = int(span.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send(request, 416, b"")
            return
        end, size = len(content) - 1, len(content)
        self.send(request, 206, content[start:], f"bytes {start}-{end}/{size}")

    def send(self, request, code, body, content_range=None):
        request.send_response(code)
        request.send_header("Content-Length", str(len(body)))
        if content_range:
            request.send_header("Content-Range", content_range)
        request.end_headers()
        cut = self.cut_after if request.path.endswith("/content") else None
        request.wfile.write(body[:cut])
        if cut is not None and cut < len(body):
            request.close_connection = True
