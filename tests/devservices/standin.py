"""The demo's supervisor around stand-ins for the site: real servers and processes, but no Django.

Run as `python -m tests.devservices.standin` with PORT and DATA_DIR set. The generation worker ignores SIGTERM.
"""

import json
import sys
from pathlib import Path

from support_portal.devservices import demo
from support_portal.devservices.folder import write_private
from support_portal.devservices.processes import Child

WEB = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(600)"
QUIET = "import time; time.sleep(600)"


class StandInDemo(demo.Demo):
    def _manage(self, *arguments: str, quiet: bool = True) -> None:
        if arguments == ("loaddemo",):
            account = {"role": "agent", "username": "agent", "password": "correct-horse", "url": f"{self.url}/desk/"}
            write_private(Path(self._folder) / "demo-accounts.json", json.dumps([account]))


def children(port: int, *, folder: Path, environment: dict[str, str]) -> list[Child]:
    codes = {"web": [WEB, str(port)], "generation": [STUBBORN], "general": [QUIET], "training": [QUIET], "beat": [QUIET]}
    return [Child(name=name, command=[sys.executable, "-S", "-uc", *code], env=environment) for name, code in codes.items()]


if __name__ == "__main__":
    demo.Demo = StandInDemo  # type: ignore[misc]
    demo.site_children = children
    sys.exit(demo.main())
