"""Commands that give agents credentials, and gateways their role, over the whole API in process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from keys.certificate import Passage
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.command_line import CommandLine, InProcess
from tests.fakes.operators_api import Api, operators_api


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as served:
        yield served


@pytest.fixture
def quartermaster(served: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(InProcess(served, "read fleet security", tmp_path), capsys)


def test_a_file_is_certified_into_a_file(quartermaster: CommandLine, tmp_path: Path) -> None:
    """The certificate is never written over something; what it is stands on stderr."""
    request, out = tmp_path / "host.csr", tmp_path / "host.crt"
    request.write_bytes(csr(new_key(), agent(5)))
    words = ("agents", "certify", "--csr", str(request), "--out", str(out), "--label", "ring=a")
    assert quartermaster(*words) == ""
    assert f"agent {agent(5)}: current certificate" in quartermaster.stderr
    assert "nothing renews it" in quartermaster.stderr
    assert len(x509.load_pem_x509_certificates(out.read_bytes())) == 2
    assert "exists, a certificate is not written over it" in quartermaster.refused(*words)
    again = tmp_path / "again.crt"
    found = quartermaster.json("agents", "certify", "--csr", str(request), "--out", str(again))
    assert (found["agent"], "chain_pem" in found) == (str(agent(5)), False)
    assert again.read_bytes() == out.read_bytes()


def test_files_that_cannot_be_used_are_named(quartermaster: CommandLine, tmp_path: Path) -> None:
    """Before anything is asked of the server, or after it answered."""
    nothing, request = tmp_path / "nothing.csr", tmp_path / "host.csr"
    line = quartermaster.refused("agents", "certify", "--csr", str(nothing), "--out", str(tmp_path / "a"))
    assert f"file {str(nothing)!r} cannot be read: No such file" in line
    nothing.write_bytes(b"\xff")
    line = quartermaster.refused("agents", "certify", "--csr", str(nothing), "--out", str(tmp_path / "a"))
    assert "is no certificate request in PEM" in line
    quartermaster("agents", "token", "create", code=2)
    assert "say for whom" in quartermaster.stderr
    request.write_bytes(csr(new_key(), agent(5)))
    out = tmp_path / "no such folder" / "a.crt"
    assert "cannot be written" in quartermaster.refused(
        "agents", "certify", "--csr", str(request), "--out", str(out)
    )


def test_a_bearer_token_is_printed_once(served: Api, quartermaster: CommandLine) -> None:
    """Stdout has the token alone; the list shows that there is one; revoking cuts."""
    presented = quartermaster("agents", "token", "create", "--new", "--valid-days", "30").strip()
    assert "it is shown only now" in quartermaster.stderr
    _, admitted = served.work.admission.prove(presented)
    listed = quartermaster("agents", "token", "list", str(admitted.agent))
    assert (str(admitted.credential) in listed, presented.partition(".")[2] in listed) == (True, False)
    [one] = quartermaster.json("agents", "token", "list", str(admitted.agent))["tokens"]
    assert one["expires_at"] == "2026-07-01T12:00:00Z"
    quartermaster("agents", "token", "revoke", str(admitted.credential))
    assert "is revoked; 0 connection(s) cut" in quartermaster.stderr
    made = quartermaster.json("agents", "token", "create", str(admitted.agent))
    assert quartermaster.json("agents", "token", "revoke", made["token_id"])["connections_cut"] == 0


def test_a_gateway_from_grant_to_revocation(served: Api, quartermaster: CommandLine) -> None:
    """Granted, given an agent, listed, a request approved, revoked."""
    served.enroll(1)
    quartermaster("gateways", "grant", str(agent(1)))
    assert "is a gateway; it admits: listed" in quartermaster.stderr
    assert quartermaster.json("gateways", "grant", str(agent(1)), "--admit", "new")["admits"] == "new"
    quartermaster("gateways", "admit", str(agent(1)), str(agent(2)), "--label", "site=a")
    assert f"gateway {agent(1)} speaks for agent {agent(2)}" in quartermaster.stderr
    assert quartermaster.json("gateways", "admit", str(agent(1)), str(agent(3)))["agent"] == str(agent(3))
    assert str(agent(3)) in quartermaster("gateways", "list")
    [listed] = quartermaster.json("gateways", "list")["gateways"]
    assert listed["agents"] == [str(agent(2)), str(agent(3))]
    passage = Passage(agent(2), agent(1))
    served.work.authority.enroll_through(csr(new_key(), agent(2)), passage, served.work.clock())
    [waits] = quartermaster.json("agents", "requests")["requests"]
    assert waits["key"] in quartermaster("agents", "requests")
    quartermaster("agents", "approve", str(agent(2)), "--key", waits["key"])
    assert "is approved" in quartermaster.stderr
    found = quartermaster.json("agents", "approve", str(agent(2)), "--key", waits["key"])
    assert found["key"] == waits["key"]
    quartermaster("gateways", "revoke", str(agent(1)))
    assert "is no gateway any more; it spoke for 2 agent(s)" in quartermaster.stderr
    assert len(quartermaster.json("gateways", "revoke", str(agent(1)))["agents"]) == 2
