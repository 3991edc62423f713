"""A fleet of two: one agent was given secrets, the other has nothing to do with them; what is seen."""

import json
from dataclasses import replace

from distribution.domain.agent import AgentView
from distribution.domain.config_choice import Assignment
from distribution.domain.configuration import ConfigObject, EffectiveSeen, RemoteConfig
from distribution.fleet import documents
from distribution.fleet.documents import Document, Kind
from distribution.flows.configuration import values, versions
from distribution.flows.configuration.effective import Examiner
from keys.identity import AgentId
from tests.fakes.configured import ABLE, yaml
from tests.fakes.operators_api import Api

ANN = "operator:ann"
SECRET = "hunter2-hunter2"
OPEN = "collector.example:4317"
BODY = f"exporters:\n  otlp/ours:\n    endpoint: https://in.example/ingest/{SECRET}\n    peer: {OPEN}\n"
NAMED = f"exporters:\n  otlp/ours:\n    endpoint: {OPEN}\nservice: {{x: [otlp/ours]}}\n"


class Fleet:
    """An agent that was given a secret, another that has nothing to do with it, and what is seen of both."""

    def __init__(self, api: Api) -> None:
        self.api, self.services = api, api.services
        self.examiner = Examiner(api.services.database, api.services.config_board.declared)
        self.agent, self.other = (self._here(number, env) for number, env in ((1, "prod"), (2, "dev")))
        self.create(NAMED, name="open", secret=False)
        self.assign(Assignment("open", "open", 1, labels={"env": "dev"}))

    def _here(self, number: int, env: str) -> AgentView:
        who = self.api.enroll(number, env=env)
        view = replace(self.services.registry.view(who), capabilities=ABLE, connected=True)
        self.services.registry.keep(view)
        self.services.registry.flush()
        return view

    def create(self, text: str | ConfigObject, *, name: str = "base", secret: bool = True) -> None:
        objects = {"": yaml(text) if isinstance(text, str) else text}
        versions.create(
            self.services.configurations, name, objects, secret=secret, actor=ANN, now=self.services.clock()
        )

    def assign(self, wanted: Assignment | int) -> None:
        if isinstance(wanted, int):
            wanted = Assignment("base", "base", wanted, labels={"env": "prod"})
        versions.assign(self.services.configurations, wanted, actor=ANN, now=self.services.clock())
        self.services.config_board.reload()

    def unassign(self) -> None:
        versions.unassign(self.services.configurations, "base", actor=ANN, now=self.services.clock())
        self.services.config_board.reload()

    def value(self, **given: str | None) -> None:
        who, now = AgentId(self.agent.uid), self.services.clock()
        values.set_values(self.services.configurations, who, given, actor=ANN, now=now)
        self.services.config_board.reload()

    @property
    def intended(self) -> RemoteConfig | None:
        return self.services.config_board.config_for(self.agent)

    def report(
        self, reported: ConfigObject | RemoteConfig | None, who: AgentView | None = None
    ) -> EffectiveSeen:
        """Let an agent report this, or what it was sent before."""
        assert reported is not None
        objects = reported.objects if isinstance(reported, RemoteConfig) else {"": reported}
        view = who or self.agent
        wanted = self.services.config_board.config_for(view)
        return self.examiner.examine(AgentId(view.uid), objects, wanted, self.services.clock())

    def stored(self, who: AgentView | None = None) -> Document:
        with self.services.database.read() as connection:
            found = documents.find(connection, AgentId((who or self.agent).uid), Kind.EFFECTIVE)
        assert found is not None
        return found

    def shown(self, who: AgentView | None = None) -> str:
        """Return all that the API shows of an agent."""
        one = f"/api/v1/agents/{(who or self.agent).uid}"
        paths = (one, f"{one}/configuration", f"{one}/explain", f"{one}/connections")
        lists = ("/api/v1/agents", "/api/v1/config-status")
        found = [self.api.call("GET", path, "read") for path in (*paths, *lists)]
        assert [answer.status_code for answer in found] == [200] * len(found)
        return json.dumps([answer.json() for answer in found])

    def require_hidden(self, secret: str = SECRET, who: AgentView | None = None) -> None:
        """Check that the secret is nowhere; and that of an agent that has none of it nothing is hidden."""
        assert secret not in self.stored(who).body
        assert secret not in self.shown(who)
        self.report(yaml(NAMED), self.other)
        assert "REDACTED" not in self.stored(self.other).body + self.shown(self.other)
