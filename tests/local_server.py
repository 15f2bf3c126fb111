"""A server of files on this machine, which can be told to fail in the ways of real ones."""

import contextlib
import http.server
import threading


class Server:
    """Serves `content` under every name, in the way `way`, and remembers each request's Range.

    content: bytes, or a dict from path to bytes.
    way: "well", "404", "no ranges", "no length", "odd length", "in circles" (redirects to itself),
        "not gzip" (what it says it is), "hang up" in the middle, or "stop" there until `go_on` is
        set.
    """

    def __init__(self):
        self.content, self.way, self.go_on = b"", "well", threading.Event()
        self.ranges, self.paths = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        self.paths.append(request.path)
        content = self.content[request.path] if isinstance(self.content, dict) else self.content
        start = (
            int(asked.removeprefix("bytes=").rstrip("-"))
            if asked and self.way != "no ranges"
            else 0
        )
        if self.way == "404" or start >= len(content):
            request.send_error(404 if self.way == "404" else 416)
            return
        request.send_response(302 if self.way == "in circles" else 206 if start else 200)
        if self.way == "in circles":
            request.send_header("Location", request.path)
        if self.way == "not gzip":
            request.send_header("Content-Encoding", "gzip")
        if self.way != "no length":
            length = "many" if self.way == "odd length" else str(len(content) - start)
            request.send_header("Content-Length", length)
        request.end_headers()
        half = len(content) // 2
        if self.way == "hang up":
            request.wfile.write(content[start:half])
        elif self.way == "stop":
            request.wfile.write(content[start:half])
            self.go_on.wait(300)
            with contextlib.suppress(OSError):  # the other side may be dead by now
                request.wfile.write(content[max(start, half) :])
        else:
            request.wfile.write(content[start:])

    def close(self):
        self.go_on.set()
        self.http.shutdown()
        self.http.server_close()
