"""A publisher's folder with real keys on disk, delegated to in a `World`, and a server to publish to."""

import hashlib
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from distribution.catalog.request import PublisherRequest
from distribution.domain.package import PackageType, TargetPath
from distribution.pipeline import home, publish
from distribution.pipeline.home import Home, Seat
from distribution.pipeline.publish import Published, ReleaseFile
from distribution.pipeline.signing import Tools
from tests.fakes.pipeline_server import LocalServer
from tests.fakes.publishing import NOW, World

V1 = "acme/otelcol/1.0.0/linux-amd64/otelcol"
V2 = "acme/otelcol/2.0.0/linux-amd64/otelcol"


@dataclass
class Publisher:
    """One pipeline of publisher `acme`, with what it was shown and how long it waited."""

    folder: Path
    server: LocalServer
    home: Home
    shown: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)

    @property
    def root(self) -> bytes:
        """The pinned root."""
        digest = hashlib.sha256(self.server.world.root).hexdigest()
        return self.home.pin_root(self.server, 1, digest)

    @property
    def release_seat(self) -> Seat:
        """The release role's seat."""
        return self.home.release_seat(self.root)

    @property
    def guard_seat(self) -> Seat:
        """The guard role's seat."""
        return self.home.guard_seat(self.root)

    def tools(self, now: datetime = NOW) -> Tools:
        """Return the tools of one run."""
        return Tools(self.server, now, self.shown.append, self.waited.append)

    def file(self, path: str, body: bytes, kind: PackageType = PackageType.TOP_LEVEL) -> ReleaseFile:
        """Return a file on disk that is to be published at `path`."""
        source = self.folder / hashlib.sha256(path.encode() + body).hexdigest()
        source.write_bytes(body)
        return ReleaseFile(source, TargetPath.parse(path), kind)

    def publish(self, path: str, body: bytes, now: datetime = NOW) -> Published:
        """Publish one file."""
        return publish.publish(self.release_seat, [self.file(path, body)], self.tools(now))

    def twin(self, folder: Path) -> "Publisher":
        """Return a second pipeline with a copy of the keys as they are now, and a memory of its own."""
        shutil.copytree(self.folder, folder)
        copied = Home(
            folder, self.home.publisher, self.home.packages, self.home.release_key, self.home.guard_key
        )
        return Publisher(folder, LocalServer(self.server.world), copied)


def publisher(folder: Path, world: World | None = None) -> Publisher:
    """Make the publisher `acme` in a new folder and delegate to it."""
    folder.mkdir()
    made = World() if world is None else world
    own = home.create(folder, "acme", ["otelcol"], NOW)
    made.enlist(PublisherRequest.parse(own.request_file.read_bytes()))
    return Publisher(folder, LocalServer(made), own)
