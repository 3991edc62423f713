"""Covers distribution/agent/enrollment.py and pins.py: joining, and what no token or server can change."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.agent import enrollment, pins
from distribution.agent.enrollment import Enrolled, enroll, fetch_root
from distribution.agent.messages import About
from distribution.agent.pins import Pins
from distribution.errors import HostError, UnreachableError
from keys.errors import NotAdmittedError, RefusedError, TrustError
from keys.identity import AgentId
from keys.policy import approve
from keys.trust import TokenString, normal_ca
from tests.fakes.agent_certificates import certify
from tests.fakes.certificates import DOMAIN, NOW, SmallCa, agent, small_ca
from tests.fakes.client_story import URL, settings
from tests.fakes.https_server import HttpsServer, https_server
from tests.fakes.scripted_link import Answer, ScriptedLink

ROOT = b'{"signed": "root"}'
SECRET = "s" * 22


@pytest.fixture(scope="module")
def ca() -> SmallCa:
    return small_ca()


def token(ca: SmallCa, **fields: object) -> TokenString:
    return token_for(str(fields.pop("ca_pem", normal_ca(ca.root_pem.encode()))), **fields)


def token_for(ca_pem: str, **fields: object) -> TokenString:
    values = {
        "trust_domain": DOMAIN,
        "ca_pem": ca_pem,
        "tuf_root_version": 1,
        "tuf_root_sha256": hashlib.sha256(ROOT).hexdigest(),
        "agents_url": URL,
        "downloads_url": "https://downloads.example:4321",
        "token_id": "t1",
        "secret": SECRET,
    }
    return TokenString(**{**values, **fields})  # type: ignore[arg-type]


class Joining:
    """One host that enrolls, and the server it meets."""

    def __init__(self, folder: Path, ca: SmallCa) -> None:
        self.folder = folder
        self.ca = ca
        self.answer: Answer = self.certified
        self.headers: list[dict[str, str]] = []
        self.links: list[ScriptedLink] = []

    def certified(self, message: opamp_pb2.AgentToServer) -> list[opamp_pb2.ServerToAgent]:
        csr = message.connection_settings_request.opamp.certificate_request.csr
        who = AgentId.from_bytes(message.instance_uid)
        return [opamp_pb2.ServerToAgent(), settings(cert=certify(self.ca, csr, who))]

    async def open(self, _pins: Pins, _agent: AgentId, headers: dict[str, str]) -> ScriptedLink:
        self.headers.append(headers)
        self.links.append(ScriptedLink(self.answer))
        return self.links[-1]

    def enroll(self, what: TokenString | None = None, **options: object) -> Enrolled:
        chosen = what or token(self.ca)
        return asyncio.run(
            enroll(
                self.folder,
                chosen,
                lambda who: About(who, "collector", "linux", "amd64", "host"),
                open_link=self.open,
                now=lambda: NOW,
                new_uid=lambda: agent().uuid,
                fetch=lambda _: ROOT,
                **options,  # type: ignore[arg-type]
            )
        )


@pytest.fixture
def joining(tmp_path: Path, ca: SmallCa) -> Joining:
    return Joining(tmp_path, ca)


def test_a_host_joins(joining: Joining) -> None:
    """The token goes into a header, the request is for the host's own uid, the pins are kept."""
    enrolled = joining.enroll()
    assert (enrolled.agent, enrolled.fresh) == (agent(), True)
    assert joining.headers == [{"Authorization": f"Enrollment t1.{SECRET}"}]
    first = joining.links[0].said[0]
    assert first.HasField("agent_description")
    assert first.instance_uid == agent().raw
    assert joining.links[0].closed
    kept = pins.load(joining.folder)
    assert kept is not None
    assert (kept.root, kept.agents_url) == (ROOT, URL)
    assert SECRET not in "".join(path.read_text() for path in joining.folder.rglob("*") if path.is_file())


def test_joining_twice_changes_nothing(joining: Joining) -> None:
    """A host that has a valid certificate asks for none."""
    first = joining.enroll()
    again = joining.enroll()
    assert (again.agent, again.fresh, len(joining.links)) == (first.agent, False, 1)


def test_a_killed_enrollment_uses_the_same_key(joining: Joining) -> None:
    """Cut short after the request, the next attempt asks with the same key."""
    asked: list[bytes] = []

    def note(message: opamp_pb2.AgentToServer) -> list[opamp_pb2.ServerToAgent]:
        csr = message.connection_settings_request.opamp.certificate_request.csr
        asked.append(approve(csr, expected=agent(), trust_domain=DOMAIN).spki_sha256)
        if len(asked) == 1:
            joining.links[0].break_off(UnreachableError("cut"))
            return []
        return joining.certified(message)

    joining.answer = note
    with pytest.raises(UnreachableError, match="cut"):
        joining.enroll()
    joining.enroll()
    assert len(asked) == 2
    assert asked[0] == asked[1]


def test_a_new_certificate_after_a_reset(joining: Joining) -> None:
    """`again` asks with a new key and keeps the identity."""
    first = joining.enroll()
    second = joining.enroll(again=True)
    assert second.agent == first.agent
    assert second.fresh
    assert second.credential.name != first.credential.name


def test_another_root_than_the_pinned_one(joining: Joining, ca: SmallCa) -> None:
    """A root with another digest ends enrollment before anything is kept; both digests are named."""
    other = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(TrustError, match=f"has digest {hashlib.sha256(ROOT).hexdigest()}, pinned is {other}"):
        joining.enroll(token(ca, tuf_root_sha256=other))
    assert pins.load(joining.folder) is None
    assert joining.links == []


def test_a_token_that_would_move_the_host(joining: Joining, ca: SmallCa) -> None:
    """The pins of the first enrollment stay; another token's are refused by name, the CA by fingerprint."""
    joining.enroll()
    with pytest.raises(TrustError, match=r"downloads_url of this host is 'https://downloads\.example:4321'"):
        joining.enroll(token(ca, downloads_url="https://evil.example"))
    with pytest.raises(TrustError, match=r"ca_pem of this host is 'sha256:[0-9a-f]{64}', the token says"):
        joining.enroll(token(ca, ca_pem=normal_ca(small_ca().root_pem.encode())))


def test_a_server_that_sends_the_agent_elsewhere(joining: Joining) -> None:
    """An endpoint that is not the pinned one ends enrollment; nothing was stored."""

    def elsewhere(message: opamp_pb2.AgentToServer) -> list[opamp_pb2.ServerToAgent]:
        [_, offered] = joining.certified(message)
        offered.connection_settings.opamp.destination_endpoint = "wss://evil.example/v1/opamp"
        return [offered]

    joining.answer = elsewhere
    with pytest.raises(TrustError, match=r"endpoint 'wss://evil\.example/v1/opamp' .* is not the pinned one"):
        joining.enroll()
    assert list((joining.folder / "identity").glob("*.chain.pem")) == []


def test_a_certificate_of_another_authority(joining: Joining) -> None:
    """A certificate that the pinned CA does not vouch for is not kept."""
    other = small_ca()

    def foreign(message: opamp_pb2.AgentToServer) -> list[opamp_pb2.ServerToAgent]:
        csr = message.connection_settings_request.opamp.certificate_request.csr
        return [settings(cert=certify(other, csr, agent()))]

    joining.answer = foreign
    with pytest.raises(TrustError, match="does not vouch"):
        joining.enroll()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (opamp_pb2.ServerErrorResponseType_BadRequest, RefusedError),
        (opamp_pb2.ServerErrorResponseType_Unavailable, UnreachableError),
    ],
)
def test_a_refusal_ends_enrollment_with_the_servers_words(
    joining: Joining, kind: opamp_pb2.ServerErrorResponseType, expected: type[Exception]
) -> None:
    """What the server refuses is told as it said it; what it cannot do now is another error."""
    error = opamp_pb2.ServerErrorResponse(type=kind, error_message="token t1 is spent")
    joining.answer = lambda _: [opamp_pb2.ServerToAgent(error_response=error)]
    with pytest.raises(expected, match="token t1 is spent"):
        joining.enroll()


def test_a_server_that_says_nothing(joining: Joining, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request is repeated for a while, and then given up."""
    monkeypatch.setattr(enrollment, "_WHOLE_SECONDS", 0.1)
    monkeypatch.setattr(enrollment, "_ASK_AGAIN_SECONDS", 0.01)
    joining.answer = lambda _: []
    with pytest.raises(UnreachableError, match=r"no certificate within 0\.1 s"):
        joining.enroll()
    assert len(joining.links[0].said) > 2


def test_a_token_that_is_refused_at_the_door(joining: Joining) -> None:
    """A refusal before the upgrade is told as it is."""

    async def shut(*_: object) -> ScriptedLink:
        raise NotAdmittedError("server answered 401: token t1 is unknown")

    joining.open = shut  # type: ignore[method-assign]
    with pytest.raises(NotAdmittedError, match="token t1 is unknown"):
        joining.enroll()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with https_server(tmp_path_factory.mktemp("https")) as made:
        yield made


def token_of(server: HttpsServer, **fields: object) -> TokenString:
    trust = server.trust
    ca_pem = str(fields.pop("ca_pem", trust.ca_pem))
    return token_for(ca_pem, agents_url=trust.agents_url, downloads_url=trust.downloads_url, **fields)


def test_the_root_is_fetched_over_verified_tls(server: HttpsServer, ca: SmallCa) -> None:
    """The version that the token names is fetched from a server that the token's CA vouches for."""
    server.answer = lambda asked: (200, ROOT) if asked.path == "/metadata/1.root.json" else (404, b"")
    assert fetch_root(token_of(server)) == ROOT
    with pytest.raises(UnreachableError, match="answered 404"):
        fetch_root(token_of(server, tuf_root_version=2))
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_root(token_of(server, ca_pem=normal_ca(ca.root_pem.encode())))


def test_pins_that_were_altered_on_disk(joining: Joining) -> None:
    """The kept root is compared with its pin at every start; files that cannot be read are named."""
    joining.enroll()
    (joining.folder / "trust" / "1.root.json").write_bytes(b"other")
    with pytest.raises(TrustError, match="TUF root 1 has digest"):
        pins.load(joining.folder)
    (joining.folder / "trust" / "trust.json").write_text(json.dumps({"tuf_root_version": 1}))
    with pytest.raises(HostError, match=r"pins in .*trust cannot be read"):
        pins.load(joining.folder)
