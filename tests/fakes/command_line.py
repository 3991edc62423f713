"""The command line in process: a session over an API in process, and what a command printed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from distribution.cli.api import Api
from distribution.cli.main import run
from distribution.pipeline.ports import PipelineServer
from keys.trust import Trust
from tests.fakes import operators_api
from tests.fakes.asgi_bridge import AsgiBridge
from tests.fakes.pipeline_server import LocalServer


class InProcess:
    """What `distribution.cli.session.Session` is to commands, without files, sockets and TLS."""

    def __init__(self, served: operators_api.Api, scopes: str, folder: Path) -> None:
        self.trust: Trust = served.services.trust
        self.trust_file = folder / "trust.toml"
        token = served.token(scopes)
        client = httpx.Client(
            transport=AsgiBridge(served.app),
            base_url=self.trust.operators_url,
            headers={"Authorization": f"Bearer {token}"},
        )
        self.api = Api(client)
        self.pipeline: PipelineServer = LocalServer(served.world)


@dataclass
class CommandLine:
    """Runs commands of one operator."""

    session: InProcess
    capsys: pytest.CaptureFixture[str]
    stderr: str = ""

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run a command, expect its exit code, and return what it printed to stdout."""
        self.capsys.readouterr()
        found = run(words, session=self.session)
        out, self.stderr = self.capsys.readouterr()
        assert found == code, (found, out, self.stderr)
        return out

    def json(self, *words: str) -> Any:
        """Run a command with `--json` and return its document."""
        return json.loads(self(*words, "--json"))

    def refused(self, *words: str, code: int = 1) -> str:
        """Run a command that must fail, and return its one line on stderr."""
        assert self(*words, code=code) == ""
        lines: Sequence[str] = self.stderr.splitlines()
        assert len(lines) == 1, lines
        return lines[0]

    def refused_beside(self, *words: str, code: int = 1) -> str:
        """Run a command that must fail after it told what it does; return the last line on stderr."""
        assert self(*words, code=code) == ""
        return self.stderr.splitlines()[-1]
