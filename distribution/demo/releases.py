"""The releases of the demonstration: small programs that differ in bytes and in what they do.

Each is a complete Python file, so that a release really is one file with one digest, and a machine with
nothing but Python can run it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PROGRAM = '''"""A collector for demonstrations, version {version}."""
import argparse
import http.server
import sys

VERSION = "{version}"
BREAKS_ON_START = {breaks}


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("collector " + VERSION + "\\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


parser = argparse.ArgumentParser()
parser.add_argument("--version", action="version", version="collector " + VERSION)
parser.add_argument("--health-port", type=int, required=True)
arguments = parser.parse_args()
if BREAKS_ON_START:
    sys.exit("collector " + VERSION + " cannot read its own configuration")
print("collector", VERSION, "is running", flush=True)
http.server.HTTPServer(("127.0.0.1", arguments.health_port), Health).serve_forever()
'''

BROKEN = "1.2.0"
"""The release that exits as soon as it is started."""


@dataclass(frozen=True, slots=True)
class DemoRelease:
    """One release to publish: its version and the file that holds it."""

    version: str
    file: Path


def write_releases(
    folder: Path, versions: tuple[str, ...], note: Callable[[str], None]
) -> dict[str, DemoRelease]:
    """Write one program for each version into `folder`; tell `note` the size of each."""
    releases = {}
    for version in versions:
        file = folder / version / "collector"
        file.parent.mkdir(parents=True)
        file.write_text(_PROGRAM.format(version=version, breaks=version == BROKEN), encoding="utf-8")
        releases[version] = DemoRelease(version, file)
        note(f"release {version}: {file.stat().st_size} bytes")
    return releases
