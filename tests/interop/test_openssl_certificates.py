"""The openssl command's opinion of our certificates: what it lets in, and what it must not.

Certificates are made by the authority and by `create_hierarchy`, as in production; openssl sees files only.
"""

import secrets
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from keys.admission import Admission
from keys.authority import Authority
from keys.ca_setup import Hierarchy, create_hierarchy
from keys.certificate import Serial
from keys.custody import file_uri, new_private_key, open_private_key, write_private_key
from keys.issuer import Issuer
from keys.profile import AgentProfile, serial_from
from keys.tokens import create
from tests.fakes.certificates import agent, csr
from tests.fakes.databases import opened
from tests.interop.parts import MissingPartError, install_debian

DOMAIN = "fleet.example"
TOKEN_SECRET = "openssl-sees-files-only-0123456789"


def _new_serial() -> Serial:
    return serial_from(secrets.token_bytes(19))


@dataclass(frozen=True, slots=True)
class Made:
    """What one agent was given, as files."""

    places: Hierarchy
    leaf: Path
    leaf_key: Path
    openssl: str

    def verify(self, certificate: Path, *more: str) -> subprocess.CompletedProcess[str]:
        """Run `openssl verify` against the root, with the issuing CA at hand but not trusted."""
        arguments = [self.openssl, "verify", "-x509_strict", "-CAfile", str(self.places.root_certificate)]
        arguments += ["-untrusted", str(self.places.issuing_certificate), *more, str(certificate)]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    if shutil.which("openssl") is None:
        install_debian("openssl")
    openssl = shutil.which("openssl")
    if openssl is None:
        raise MissingPartError("openssl is not on the path")
    folder, now = tmp_path_factory.mktemp("openssl"), datetime.now(UTC)
    for name in ("offline", "server"):
        (folder / name).mkdir()
    places = create_hierarchy(
        trust_domain=DOMAIN,
        hosts=["server.example", "127.0.0.1"],
        offline=folder / "offline",
        online=folder / "server",
        new_serial=_new_serial,
        now=now,
    )
    with opened(folder) as database:
        with database.write() as connection:
            create(
                connection,
                token_id="t1",
                secret=TOKEN_SECRET,
                salt=secrets.token_bytes(16),
                labels={},
                expires_at=now + timedelta(hours=1),
                uses=1,
                actor="operator:ann",
                now=now,
            )
        issuing = x509.load_pem_x509_certificate(places.issuing_certificate.read_bytes())
        authority = Authority(
            database,
            Issuer(open_private_key(file_uri(places.issuing_key)), issuing),
            AgentProfile(DOMAIN),
            Admission(database, lambda: datetime.now(UTC)),
            _new_serial,
        )
        key = new_private_key()
        issued = authority.enroll(csr(key, agent()), f"t1.{TOKEN_SECRET}", agent(), now)
    write_private_key(folder / "leaf.key.pem", key)
    (folder / "leaf.pem").write_bytes(issued.chain_pem)
    return Made(places, folder / "leaf.pem", folder / "leaf.key.pem", openssl)


def test_an_agent_is_a_client(made: Made) -> None:
    """Strictly checked, for the purpose of a client, through the issuing CA to the root."""
    found = made.verify(made.leaf, "-purpose", "sslclient")
    assert (found.returncode, found.stdout.strip()) == (0, f"{made.leaf}: OK"), found.stderr


def test_an_agent_is_no_server(made: Made) -> None:
    """Its certificate does not pass as a server's."""
    found = made.verify(made.leaf, "-purpose", "sslserver")
    assert found.returncode != 0
    assert "purpose" in found.stderr


def test_a_server_is_a_server_under_its_names(made: Made) -> None:
    """By name and by address; as a client it does not pass."""
    server = made.places.server_certificate
    for name in (("-verify_hostname", "server.example"), ("-verify_ip", "127.0.0.1")):
        found = made.verify(server, "-purpose", "sslserver", *name)
        assert found.returncode == 0, found.stderr
    assert made.verify(server, "-purpose", "sslserver", "-verify_hostname", "other.example").returncode != 0
    assert made.verify(server, "-purpose", "sslclient").returncode != 0


def test_the_issuing_ca_makes_no_servers(made: Made, tmp_path: Path) -> None:
    """Who steals the issuing key cannot pose as our server: the CA's own purpose forbids it."""
    forged = _forge(made, tmp_path, made.places.issuing_certificate, made.places.issuing_key, "serverAuth")
    found = made.verify(forged, "-purpose", "sslserver")
    assert found.returncode != 0
    assert "purpose" in found.stderr


def test_an_agent_makes_no_agents(made: Made, tmp_path: Path) -> None:
    """What an agent's key signs is refused, because its certificate is no CA's."""
    forged = _forge(made, tmp_path, made.leaf, made.leaf_key, "clientAuth")
    found = made.verify(forged, "-purpose", "sslclient", "-untrusted", str(made.leaf))
    assert found.returncode != 0
    assert "invalid CA certificate" in found.stderr


def _forge(made: Made, folder: Path, issuer: Path, issuer_key: Path, purpose: str) -> Path:
    """Sign a certificate for a new key, as whoever holds the issuer's key can."""
    request, forged, extensions = (folder / name for name in ("request.pem", "forged.pem", "forged.cnf"))
    extensions.write_text(
        f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage={purpose}\n"
        "subjectAltName=DNS:server.example\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    ask = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"]
    ask += ["-keyout", str(folder / "forged.key"), "-out", str(request)]
    sign = ["x509", "-req", "-in", str(request), "-CA", str(issuer), "-CAkey", str(issuer_key)]
    sign += ["-extfile", str(extensions), "-days", "1", "-out", str(forged)]
    for arguments in (ask, sign):
        subprocess.run([made.openssl, *arguments], capture_output=True, timeout=30, check=True)
    return forged
