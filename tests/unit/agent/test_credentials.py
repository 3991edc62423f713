"""Covers distribution/agent/credentials.py: keys stay, certificates are judged, promotion comes last."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from distribution.agent.credentials import Credentials
from distribution.errors import HostError
from keys.errors import TrustError
from keys.policy import approve
from tests.fakes.agent_certificates import certify, chain
from tests.fakes.certificates import DOMAIN, NOW, SmallCa, agent, new_key, small_ca


@pytest.fixture(scope="module")
def ca() -> SmallCa:
    return small_ca()


def credentials(folder: Path, ca: SmallCa) -> Credentials:
    return Credentials(folder, DOMAIN, ca.root_pem)


def test_the_identity_is_made_once(tmp_path: Path, ca: SmallCa) -> None:
    """The uid is written before it is used and never changes; a broken file is not replaced."""
    made = credentials(tmp_path, ca)
    assert made.known_agent() is None
    who = made.agent(lambda: agent(1).uuid)
    assert made.agent(lambda: agent(2).uuid) == who == made.known_agent() == agent(1)
    (tmp_path / "identity" / "agent.json").write_text("{}")
    with pytest.raises(HostError, match=r"agent\.json does not hold an instance uid"):
        made.agent(lambda: agent(2).uuid)


def test_a_request_is_what_the_policy_accepts(tmp_path: Path, ca: SmallCa) -> None:
    """One URI name, P-256, the same key until it is answered; the key file is the owner's alone."""
    made = credentials(tmp_path, ca)
    first, again = made.request(agent()), made.request(agent())
    approved = [approve(each.csr_pem, expected=agent(), trust_domain=DOMAIN) for each in (first, again)]
    assert approved[0].spki_sha256 == approved[1].spki_sha256
    key = tmp_path / "identity" / f"{first.name}.key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_a_certificate_becomes_current_only_by_promotion(tmp_path: Path, ca: SmallCa) -> None:
    """Stored, it is the next one and tried first; promoted, it is the only one and the old key is gone."""
    made = credentials(tmp_path, ca)
    assert made.usable(NOW) == ()
    first = made.store(certify(ca, made.request(agent()).csr_pem, agent()), agent(), NOW)
    assert first.is_next
    made.promote(first)
    [current] = made.usable(NOW)
    assert (current.name, current.is_next) == (first.name, False)
    second = made.store(certify(ca, made.request(agent()).csr_pem, agent()), agent(), NOW)
    assert [each.name for each in made.usable(NOW)] == [second.name, first.name]
    made.promote(current)
    assert len(made.usable(NOW)) == 2
    made.promote(second)
    assert [each.name for each in made.usable(NOW)] == [second.name]
    assert not first.key.exists()
    assert second.key.exists()


def test_a_refused_next_is_dropped_and_the_current_stays(tmp_path: Path, ca: SmallCa) -> None:
    """Dropping the next credential leaves the current one alone, and a new request has a new key."""
    made = credentials(tmp_path, ca)
    made.promote(made.store(certify(ca, made.request(agent()).csr_pem, agent()), agent(), NOW))
    request = made.request(agent())
    made.discard_next()
    made.discard_next()
    assert len(made.usable(NOW)) == 1
    assert made.request(agent()).name != request.name


def test_an_expired_certificate_is_not_used(tmp_path: Path, ca: SmallCa) -> None:
    """After its end a certificate is not presented; its renewal was due long before."""
    made = credentials(tmp_path, ca)
    stored = made.store(certify(ca, made.request(agent()).csr_pem, agent()), agent(), NOW)
    assert made.usable(NOW + timedelta(days=8)) == ()
    life = stored.not_after - stored.not_before
    assert stored.not_before + life / 2 <= stored.renewal_at(agent()) <= stored.not_before + life * 2 / 3


def test_another_agents_certificate(tmp_path: Path, ca: SmallCa) -> None:
    """A certificate that names another agent is refused with both uids."""
    made = credentials(tmp_path, ca)
    made.request(agent(1))
    with pytest.raises(TrustError, match=f"names agent {agent(2)}, this is agent {agent(1)}"):
        made.store(chain(ca, agent(2), new_key().public_key()), agent(1), NOW)


def test_a_certificate_for_another_key(tmp_path: Path, ca: SmallCa) -> None:
    """A certificate for a key that this host did not make is refused."""
    made = credentials(tmp_path, ca)
    made.request(agent())
    with pytest.raises(TrustError, match="is for another key"):
        made.store(chain(ca, agent(), new_key().public_key()), agent(), NOW)


def test_a_certificate_of_another_authority(tmp_path: Path, ca: SmallCa) -> None:
    """What the pinned CA does not vouch for is refused, whatever CA comes with it."""
    made = credentials(tmp_path, ca)
    request = made.request(agent())
    with pytest.raises(TrustError, match="the pinned CA does not vouch for certificate"):
        made.store(certify(small_ca(), request.csr_pem, agent()), agent(), NOW)


def test_an_expired_certificate_from_the_server(tmp_path: Path, ca: SmallCa) -> None:
    """A certificate that is over already is refused."""
    made = credentials(tmp_path, ca)
    request = made.request(agent())
    with pytest.raises(TrustError, match="does not vouch"):
        made.store(certify(ca, request.csr_pem, agent()), agent(), NOW + timedelta(days=8))


def test_a_certificate_without_a_life(tmp_path: Path, ca: SmallCa) -> None:
    """A certificate that ends as it begins is refused: nobody could say when to renew it."""
    made = credentials(tmp_path, ca)
    csr = made.request(agent()).csr_pem
    begins = NOW - timedelta(minutes=1)
    with pytest.raises(TrustError, match=f"ends at {begins:%FT%TZ}, begins at {begins:%FT%TZ}"):
        made.store(certify(ca, csr, agent(), life=-timedelta(minutes=1)), agent(), begins)
    assert made.usable(begins) == ()


@pytest.mark.parametrize("garbage", [b"", b"nothing", b"x" * 70_000])
def test_bytes_that_are_no_certificate(tmp_path: Path, ca: SmallCa, garbage: bytes) -> None:
    """Garbage is refused, and so is a chain beyond all measure."""
    made = credentials(tmp_path, ca)
    made.request(agent())
    with pytest.raises(TrustError):
        made.store(garbage, agent(), NOW)
    with pytest.raises(TrustError, match="not an agent's"):
        made.store(ca.root_pem.encode(), agent(), NOW)


def test_a_certificate_nobody_asked_for(tmp_path: Path, ca: SmallCa) -> None:
    """Without a request there is no key that it could be for."""
    made = credentials(tmp_path, ca)
    made.agent(lambda: agent().uuid)
    with pytest.raises(HostError, match="did not ask for"):
        made.store(ca.root_pem.encode(), agent(), NOW)


def test_files_that_cannot_be_read_are_named(tmp_path: Path, ca: SmallCa) -> None:
    """A damaged key, chain or pointer is named by its path; nothing is made anew over it."""
    made = credentials(tmp_path, ca)
    request = made.request(agent())
    stored = made.store(certify(ca, request.csr_pem, agent()), agent(), NOW)
    stored.chain.write_text("x")
    with pytest.raises(HostError, match=r"chain\.pem cannot be read"):
        made.usable(NOW)
    stored.key.write_text("x")
    with pytest.raises(HostError, match=r"key\.pem cannot be opened"):
        made.request(agent())
    (tmp_path / "identity" / "credentials.json").write_text("x")
    with pytest.raises(HostError, match=r"credentials\.json cannot be read"):
        made.usable(NOW)


def test_a_key_of_another_kind_is_refused(tmp_path: Path, ca: SmallCa) -> None:
    """Only P-256's family is ours."""
    made = credentials(tmp_path, ca)
    request = made.request(agent())
    path = tmp_path / "identity" / f"{request.name}.key.pem"
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.raises(HostError, match="is not an elliptic curve key"):
        made.request(agent())


def test_the_certificate_is_a_public_file(tmp_path: Path, ca: SmallCa) -> None:
    """The chain is stored as it came, leaf first."""
    made = credentials(tmp_path, ca)
    pem = certify(ca, made.request(agent()).csr_pem, agent())
    stored = made.store(pem, agent(), NOW)
    assert stored.chain.read_bytes() == pem
    assert f"{x509.load_pem_x509_certificates(pem)[0].serial_number:x}" == stored.serial
