"""A real HTTP server for tests, to which alerts are sent: it answers as it is told, and remembers what it got."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

OK = 200


@dataclass(frozen=True)
class Post:
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Receiver:
    """`answers`: the statuses of the next answers, then OK; 302 leads to /elsewhere. `pause`: seconds before each."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    pause: float = 0.0

    def as_new(self) -> Self:
        """It knows of nothing."""
        self.posts, self.answers, self.pause = [], [], 0.0
        return self

    def texts(self) -> list[str]:
        return [str(post.body["text"]) for post in self.posts]


@contextmanager
def receiving() -> Iterator[Receiver]:
    got = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            got.posts.append(Post(path=self.path, headers=dict(self.headers), body=json.loads(content)))
            time.sleep(got.pause)
            status = got.answers.pop(0) if got.answers else OK
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{got.url}/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_GET = do_POST  # noqa: N815  # what a followed redirect would become

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a sender that has given up

    server = Server(("127.0.0.1", 0), Handler)
    got.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield got
    finally:
        server.shutdown()
        server.server_close()
