"""A whole installation in one folder: trust, server, pipeline and agents, each a process of its own.

The demonstration tells its story with it; the kill tests break it. It uses what a user would use: the
console commands and the operators' API, never the database.
"""

import json
import ssl
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from distribution.demo.places import ObjectsAt, host_configuration
from distribution.demo.processes import (
    DemoError,
    Program,
    console_command,
    environment,
    free_ports,
    wait_for,
)

PUBLISHER = "acme"
PACKAGE = "collector"
COMMAND_SECONDS = 180.0
READY_SECONDS = 180.0
PLATFORM = "linux-amd64"


@dataclass(slots=True)
class DemoAgent:
    """One agent: its folder, its process, the transport it speaks, the port of its program's health page."""

    name: str
    folder: Path
    transport: str
    health_port: int
    program: Program
    uid: str = field(default="")


class Cluster:
    """An installation under `root`. Nothing outside that folder is written."""

    def __init__(self, root: Path, objects: ObjectsAt, database: str | None = None) -> None:
        """`database` is the URL of an empty one; without it, a file under `root`."""
        self.root = root
        self.objects = objects
        self.database = database
        self.agents: dict[str, DemoAgent] = {}
        self.logs = root / "logs"
        self.pipeline = root / "pipeline"
        self.operator = root / "site" / "operator"
        self.offline = root / "site" / "offline"
        self.server_folder = root / "site" / "server"
        self._ports = free_ports(3)
        self._client: httpx.Client | None = None
        for folder in (self.logs, root / "home"):
            folder.mkdir(parents=True)
        argv = [console_command("quartermaster"), "serve", "--settings", str(self.settings_file)]
        self.server = Program("server", argv, self.logs / "server.log", self.environment())

    @property
    def settings_file(self) -> Path:
        """The server's settings."""
        return self.server_folder / "server.toml"

    @property
    def trust_file(self) -> Path:
        """The operator's trust file."""
        return self.operator / "trust.toml"

    @property
    def url(self) -> str:
        """The operators' API."""
        return f"https://127.0.0.1:{self._ports[2]}"

    @property
    def target(self) -> str:
        """The target path an agent's host accepts, with a hole for the version."""
        return f"{PUBLISHER}/{PACKAGE}/{{version}}/{PLATFORM}/{PACKAGE}"

    def environment(self) -> dict[str, str]:
        """Return what a person's shell would have: the operator's profile."""
        profile = {
            "QUARTERMASTER_URL": self.url,
            "QUARTERMASTER_TRUST": str(self.trust_file),
            "QUARTERMASTER_TOKEN_FILE": str(self.operator / "token"),
        }
        return environment(self.root / "home", profile)

    def quartermaster(self, *words: str) -> str:
        """Run one `quartermaster` command and return what it printed. Raises DemoError if it failed."""
        return self._run(console_command("quartermaster"), *words)

    def quartermaster_agent(self, *words: str) -> str:
        """Run one `quartermaster-agent` command and return what it printed. Raises DemoError."""
        return self._run(console_command("quartermaster-agent"), *words)

    def _run(self, *argv: str) -> str:
        done = subprocess.run(  # noqa: S603 - argv is ours
            argv,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            words = " ".join(argv[1:])
            raise DemoError(f"`{words}` ended with {done.returncode}: {done.stderr.decode().strip()}")
        return done.stdout.decode()

    def init(self, *, single: bool) -> None:
        """Create the trust: authority, TUF roles, server settings, the first operator."""
        agents, downloads, operators = self._ports
        words = ["init", str(self.root / "site"), "--trust-domain", "demo.example", "--host", "127.0.0.1"]
        words += ["--agents-port", str(agents), "--downloads-port", str(downloads)]
        words += ["--operators-port", str(operators), "--objects", self.objects.url]
        for flag, value in (
            ("--s3-endpoint", self.objects.endpoint),
            ("--s3-region", self.objects.region),
            ("--s3-ca-bundle", self.objects.ca_bundle),
        ):
            words += [flag, str(value)] if value else []
        words += ["--database", self.database] if self.database else []
        self.quartermaster(*words, *(["--single"] if single else []))

    def start_server(self) -> None:
        """Start the server and wait until it says that it is ready."""
        self.server.start()
        wait_for("the server's readiness", self._ready, READY_SECONDS, self.server.tail)

    def _ready(self) -> bool | None:
        self.server.require_running()
        try:
            return True if self.api().get("/readyz").status_code == httpx.codes.OK else None
        except httpx.TransportError:
            return None

    def api(self) -> httpx.Client:
        """Return a client of the operators' API that trusts the operator's own trust file."""
        if self._client is None:
            trust = tomllib.loads(self.trust_file.read_text())
            context = ssl.create_default_context(cadata=trust["ca_pem"])
            token = (self.operator / "token").read_text().strip()
            self._client = httpx.Client(
                base_url=self.url, verify=context, headers={"Authorization": f"Bearer {token}"}, timeout=60
            )
        return self._client

    def get(self, path: str, **query: str) -> Any:
        """GET a JSON document of the operators' API. Raises DemoError for anything but 200."""
        answer = self.api().get(path, params=query)
        if answer.status_code != httpx.codes.OK:
            raise DemoError(f"GET {path} answered {answer.status_code}: {answer.text[:300]}")
        return answer.json()

    def agent_row(self, name: str) -> Mapping[str, Any]:
        """Return what the server knows of one agent."""
        row: Mapping[str, Any] = self.get(f"/api/v1/agents/{self.agents[name].uid}")
        return row

    def add_agent(self, name: str, transport: str) -> DemoAgent:
        """Write an agent's host configuration; it is neither enrolled nor started yet."""
        folder = self.root / "agents" / name
        folder.mkdir(parents=True)
        [health_port] = free_ports(1)
        (folder / "agent.toml").write_text(
            host_configuration(
                package=PACKAGE, target=self.target, transport=transport, health_port=health_port
            )
        )
        argv = [console_command("quartermaster-agent"), "run", "--dir", str(folder)]
        program = Program(name, argv, self.logs / f"{name}.log", self.environment())
        agent = DemoAgent(name, folder, transport, health_port, program)
        self.agents[name] = agent
        return agent

    def enroll(self, agent: DemoAgent, token: str) -> None:
        """Enroll an agent with a token; its key is made on its own folder and stays there."""
        answer = json.loads(self.quartermaster_agent("enroll", token, "--dir", str(agent.folder), "--json"))
        agent.uid = answer["instance_uid"]

    def add_publisher(self) -> None:
        """Make a publisher's keys, and have the offline keys delegate the package to it."""
        self.quartermaster("publisher", "keygen", PUBLISHER, PACKAGE, "--home", str(self.pipeline))
        request = self.pipeline / f"{PUBLISHER}.request.json"
        keys = sorted(self.offline.glob("targets-*.pem"))[:2]
        signing = [word for key in keys for word in ("--key", str(key))]
        self.quartermaster("publisher", "add", str(request), *signing)
        scope = f"publish:{PUBLISHER}"
        made = json.loads(self.quartermaster("operator", "create", "pipeline", "--scope", scope, "--json"))
        token = self.pipeline / "token"
        token.touch(mode=0o600)
        token.write_text(made["token"])

    def publish(self, version: str, file: Path) -> None:
        """Publish one release with the pipeline's own key and its own narrow token."""
        self.quartermaster(*self.as_pipeline(), *self.publishing(version, file))

    def as_pipeline(self) -> list[str]:
        """Return the words that make a command use the pipeline's token instead of the operator's."""
        return ["--token-file", str(self.pipeline / "token")]

    def publishing(self, version: str, file: Path) -> list[str]:
        """Return the words of one publication."""
        home = ["--home", str(self.pipeline)]
        return ["release", "publish", PACKAGE, version, "--file", f"{PLATFORM}={file}", *home]

    def raise_floor(self, version: str) -> None:
        """Forbid everything below a version, with the guard key."""
        home = ["--home", str(self.pipeline)]
        self.quartermaster(*self.as_pipeline(), "guard", "floor", PACKAGE, version, *home)

    def set_channel(self, name: str, version: str, *flags: str) -> None:
        """Point a channel at a release."""
        self.quartermaster("channel", "set", name, f"{PUBLISHER}/{PACKAGE}@{version}", *flags)

    def create_token(self, uses: int) -> str:
        """Create an enrollment token and return the one string that a host needs."""
        made = json.loads(self.quartermaster("token", "create", "--uses", str(uses), "--json"))
        return str(made["token"])

    def revoke(self, uid: str) -> Mapping[str, Any]:
        """Revoke an agent by the command, and return the server's receipt."""
        receipt: Mapping[str, Any] = json.loads(
            self.quartermaster("agents", "revoke", uid, "--reason", "key_compromise", "--json")
        )
        return receipt

    def journal(self) -> list[Mapping[str, Any]]:
        """Return the journal's entries, oldest first."""
        found: list[Mapping[str, Any]] = []
        while page := self.get(
            "/api/v1/journal", after=str(found[-1]["number"] if found else 0), limit="1000"
        )["entries"]:
            found += page
        return found

    def close(self) -> None:
        """Stop every process this cluster started."""
        for agent in self.agents.values():
            agent.program.stop()
        self.server.stop()
        if self._client is not None:
            self._client.close()
