"""What the commands of pipelines share: the publisher's folder, the pinned root, the tools of one run."""

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from distribution.cli.output import tell
from distribution.cli.session import Session
from distribution.errors import UnverifiedError
from distribution.pipeline.home import Home, fetch_root, open_home
from distribution.pipeline.signing import Tools

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="QUARTERMASTER_PUBLISHER_HOME", help="The publisher's folder, with its keys."
    ),
]


def tools(session: Session) -> Tools:
    """Return what one run works with; what it does is told on stderr."""
    return Tools(server=session.pipeline, now=now(), show=tell, sleep=time.sleep)


def now() -> datetime:
    """Return the time, aware UTC, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def home_and_root(session: Session, folder: Path) -> tuple[Home, bytes]:
    """Open a publisher's folder and its pinned root, which is fetched once and kept there.

    Raises:
        InvalidError: it is no publisher's folder. UnverifiedError: the root is not the pinned one.
    """
    home, trust = open_home(folder), session.trust
    return home, home.pin_root(session.pipeline, trust.tuf_root_version, trust.tuf_root_sha256)


def operators_root(session: Session) -> bytes:
    """Fetch the root that the operator's own trust file pins. Raises UnverifiedError if it is another."""
    trust = session.trust
    root = fetch_root(session.pipeline, trust.tuf_root_version)
    found = hashlib.sha256(root).hexdigest()
    if found != trust.tuf_root_sha256:
        raise UnverifiedError(
            f"root v{trust.tuf_root_version} of the server has sha256 {found}, "
            f"your trust file pins {trust.tuf_root_sha256}"
        )
    return root
