"""How a command finds its server: options over profile, the operator's own trust, and clear words."""

import os
from pathlib import Path

import httpx
import pytest

from distribution.cli.api import Api
from distribution.cli.main import NOUNS, app, main, run
from distribution.cli.session import Options, Session
from distribution.errors import InvalidError, UnreachableError
from distribution.pipeline.server import HttpServer
from keys.errors import TrustError
from tests.fakes.asgi_bridge import Unreachable
from tests.fakes.operators_trust import a_trust

NOTHING = Options(None, None, None, None)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    (tmp_path / "trust.toml").write_text(a_trust().to_toml())
    (tmp_path / "token").write_text("ann.s3cret\n")
    (tmp_path / "operator.toml").write_text('trust = "trust.toml"\ntoken_file = "token"\n')
    return tmp_path


def test_a_profile_says_everything(profile: Path) -> None:
    """Paths are the folder's; the address is the trust file's."""
    session = Session(Options(None, None, None, profile))
    assert session.trust.operators_url == "https://qm:4322"
    assert session.trust_file == profile / "trust.toml"
    client = session.api._client
    assert (str(client.base_url), client.headers["authorization"]) == ("https://qm:4322", "Bearer ann.s3cret")
    assert isinstance(session.pipeline, HttpServer)


def test_options_win_over_the_profile(profile: Path, tmp_path: Path) -> None:
    """Another address and another token for one command."""
    (tmp_path / "other").write_text("bob.x")
    session = Session(Options("https://other:1/", None, tmp_path / "other", profile))
    assert session.trust.operators_url == "https://other:1"
    assert session.api._client.headers["authorization"] == "Bearer bob.x"


def test_a_profile_may_name_the_server(profile: Path) -> None:
    """Where the address is not the trust file's."""
    text = (profile / "operator.toml").read_text()
    (profile / "operator.toml").write_text(text + 'server = "https://elsewhere:9"\n')
    assert Session(Options(None, None, None, profile)).trust.operators_url == "https://elsewhere:9"


@pytest.mark.parametrize(
    ("text", "message"),
    [("servers = 'x'\n", "has 'servers'"), ("trust = 1\n", "has 'trust'"), ("trust", "is not TOML")],
)
def test_a_profile_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A misspelt key is not silently without effect."""
    (tmp_path / "operator.toml").write_text(text)
    with pytest.raises(InvalidError, match=message):
        _ = Session(Options(None, None, None, tmp_path)).trust


def test_nothing_given_is_said(tmp_path: Path) -> None:
    """Which option would help."""
    with pytest.raises(InvalidError, match="give --trust"):
        _ = Session(NOTHING).trust
    with pytest.raises(InvalidError, match="cannot be read"):
        _ = Session(Options(None, tmp_path / "none", None, None)).trust


def test_a_plain_address_is_refused(profile: Path) -> None:
    """There is no way to speak to a server without TLS."""
    with pytest.raises(TrustError, match="operators_url"):
        _ = Session(Options("http://qm:4322", None, None, profile)).trust


def test_tls_is_verified_with_the_operators_ca_alone(profile: Path) -> None:
    """No system store: one CA, and certificate and host name are required."""
    transport = Session(Options(None, None, None, profile)).api._client._transport
    context = transport._pool._ssl_context  # type: ignore[attr-defined] # what httpx will use
    assert len(context.get_ca_certs()) == 1
    assert (context.check_hostname, context.verify_mode.name) == (True, "CERT_REQUIRED")


def test_no_answer_is_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts tell a refusal from a server that is not there."""

    class Nobody:
        api = Api(httpx.Client(transport=Unreachable(), base_url="https://qm:4322"))

    assert run(["agents", "list"], session=Nobody()) == 3
    err = capsys.readouterr().err
    assert err == "quartermaster: server at https://qm:4322 did not answer: connection refused\n"


@pytest.mark.parametrize("body", [b"<html>", b"[]"])
def test_an_answer_that_is_no_document_is_no_server(body: bytes) -> None:
    """A proxy's page is not the API."""
    transport = httpx.MockTransport(lambda request: httpx.Response(502, content=body, request=request))
    with pytest.raises(UnreachableError, match="no JSON"):
        Api(httpx.Client(transport=transport, base_url="https://qm")).get("/agents")


def test_a_refusal_without_words_still_says_what_it_was() -> None:
    """Method, path and status."""
    transport = httpx.MockTransport(lambda request: httpx.Response(418, json={}, request=request))
    with pytest.raises(Exception, match="GET /agents was answered with 418"):
        Api(httpx.Client(transport=transport, base_url="https://qm")).get("/agents")


def test_the_environment_stands_for_the_options(
    profile: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not there is named, which shows that the variable was read."""
    for name in [name for name in os.environ if name.startswith("QUARTERMASTER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUARTERMASTER_TRUST", str(profile / "elsewhere.toml"))
    monkeypatch.setattr("sys.argv", ["quartermaster", "agents", "list"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    assert "elsewhere.toml" in capsys.readouterr().err


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_explains_itself(noun: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is listed can be loaded."""
    assert app is not None
    assert run([noun, "--help"]) == 0
    assert "Usage: quartermaster" in capsys.readouterr().out
