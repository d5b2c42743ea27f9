"""A web server of our own in a thread, for what downloads: nothing in the tests touches the network."""

import http.server
import pathlib
import random
import re
import threading
import time
import zipfile

BODY = random.Random(0).randbytes(300_000)
PAGE = b"<!DOCTYPE html><html><body>please log in</body></html>"
PHOTOS = {"photos/1.jpg": b"one", "photos/sub/2.jpg": b"two", "photos/Thumbs.db": b"", "__MACOSX/photos/x": b""}


class Listener(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a client that hangs up is what is tested


class Server:
    """Files by path; `cuts` are the numbers of body bytes after which the next answers break off."""

    def __init__(self):
        self.files, self.moved, self.codes, self.cuts, self.asked = {}, {}, {}, [], []
        self.etag, self.date, self.ranges, self.if_range = '"one"', None, True, True
        self.slow_s, self.kind = 0.0, None
        self.http = Listener(("127.0.0.1", 0), type("H", (Handler,), {"ours": self}))
        self.site = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def gets(self) -> list:
        return [(path, ask) for method, path, ask, _ in self.asked if method == "GET"]


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        s, ask = self.ours, self.headers["Range"]
        s.asked.append((self.command, self.path, ask, self.headers["If-Range"]))
        time.sleep(s.slow_s)
        body, code, start = s.files.get(self.path), 200, 0
        if self.path in s.moved:
            return self.answer(302, {"Location": s.moved[self.path]})
        if s.codes.get(self.path):
            return self.answer(s.codes[self.path].pop(0), {})
        if body is None:
            return self.answer(404, {})
        changed = s.if_range and self.headers["If-Range"] not in (None, s.etag or s.date)
        headers = {"ETag": s.etag, "Last-Modified": s.date, "Content-Type": s.kind}
        if ask and s.ranges and not changed:
            code, start = 206, int(re.fullmatch(r"bytes=(\d+)-", ask)[1])
            if start >= len(body):
                return self.answer(416, {"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self.answer(code, headers, body[start:])

    def answer(self, code, headers, body=b""):
        self.send_response(code)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "GET" and body:
            self.wfile.write(body[: self.ours.cuts.pop(0)] if self.ours.cuts else body)


def names(folder) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def make_zip(path, files: dict[str, bytes], links=()) -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as z:
        for name, content in files.items():
            z.writestr(name, content)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            z.writestr(info, "/etc")
    return path
