"""A service that answers `nearfar index` as a script says, to test what a real one does only when something fails."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ScriptedService:
    """`script` has an entry for each PUT of points: a status, "drop" (no answer), or a pair of a status and header fields."""

    def __init__(self, script=(), version: int = 0) -> None:
        self.script = list(script)
        self.version = version
        self.ids: list[str] = []
        self.batches = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments) -> None:
                pass

            def answer(self, status, body, fields=()) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in fields:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self) -> None:
                self.answer(200, {"name": "c", "dim": 384, "metric": "cosine", "version": outer.version, "count": 0})

            def do_PUT(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                step = outer.script.pop(0) if outer.script else 200
                if step == "drop":
                    self.close_connection = True
                    return
                if step != 200:
                    status, fields = step if isinstance(step, tuple) else (step, ())
                    self.answer(status, {"title": "t", "status": status, "detail": "scripted"}, fields)
                    return
                outer.version += 1
                outer.batches += 1
                outer.ids += [point["id"] for point in body["points"]]
                self.answer(200, {"version": outer.version, "upserted": len(body["points"])})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> "ScriptedService":
        return self

    def __exit__(self, *rest) -> None:
        self.server.shutdown()
        self.server.server_close()
