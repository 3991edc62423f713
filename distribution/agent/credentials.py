"""The agent's own keys and certificates. A key never leaves this folder; a request for a certificate does.

    identity/agent.json         the instance uid, made once
    identity/credentials.json   which one is current and which is next; the only pointer, replaced atomically
    identity/<name>.key.pem     private key, P-256, mode 0600, on disk before it is asked to be certified
    identity/<name>.chain.pem   its certificate, leaf first; absent until the server answered

Rules: a next credential never overwrites the current one; it becomes current only after a connection with
it worked; what the server sends is stored only if it certifies our key, names us, and the pinned CA vouches
for it. The pinned CA is never replaced by what a server says.
"""

import json
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder, VerificationError
from cryptography.x509.verification import Store as Roots

from distribution.agent.store import make_folder, write_file
from distribution.errors import HostError
from keys.errors import RefusedError, TrustError
from keys.identity import AgentId, agent_of_names, spiffe_uri
from keys.rotation import renewal_at

_NAME_BYTES = 8
_CHAIN_MAX_BYTES = 65_536
_UNREADABLE = (
    ValueError,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
    RefusedError,
)
"""What reading a hostile certificate may raise; most of these are no ValueError."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A key with its certificate. Times are aware UTC."""

    name: str
    key: Path
    chain: Path
    serial: str
    not_before: datetime
    not_after: datetime
    is_next: bool

    def renewal_at(self, agent: AgentId) -> datetime:
        """Return when to renew, by the rule of `keys.rotation` and the agent's own share of the spread."""
        return renewal_at(self.not_before, self.not_after, agent.uuid.int % 1000 / 1000)


@dataclass(frozen=True, slots=True)
class Request:
    """A key that waits for its certificate, and the request that asks for it."""

    name: str
    csr_pem: bytes


class Credentials:
    """The identity folder. Only one thread writes."""

    def __init__(self, folder: Path, trust_domain: str, ca_pem: str) -> None:
        self._folder = folder / "identity"
        self._trust_domain = trust_domain
        self._ca_pem = ca_pem

    def agent(self, new_uid: Callable[[], uuid.UUID]) -> AgentId:
        """Return the agent's identity; it is made and written at the first call. Raises HostError."""
        known = self.known_agent()
        if known is not None:
            return known
        made = AgentId(new_uid())
        document = json.dumps({"instance_uid": str(made)}).encode() + b"\n"
        write_file(make_folder(self._folder, 0o700) / "agent.json", document)
        return made

    def known_agent(self) -> AgentId | None:
        """Return the agent's identity if it was made. Raises HostError."""
        path = self._folder / "agent.json"
        document = _read(path)
        if document is None:
            return None
        try:
            return AgentId.parse(document["instance_uid"])
        except (KeyError, TypeError, RefusedError) as exc:
            raise HostError(f"{path} does not hold an instance uid") from exc

    def usable(self, now: datetime) -> tuple[Credential, ...]:
        """Return the credentials to connect with, the next one first. Expired ones are left out."""
        pointer = self._pointer()
        found = (self._credential(pointer.get(slot), is_next=slot == "next") for slot in ("next", "current"))
        return tuple(each for each in found if each is not None and now < each.not_after)

    def request(self, agent: AgentId) -> Request:
        """Return the request for the next credential; the same key again until it is answered or discarded.

        Raises:
            HostError: the disk refused; no key is in use then.
        """
        pointer = self._pointer()
        name = pointer.get("next")
        if name is None:
            name = secrets.token_hex(_NAME_BYTES)
            key = ec.generate_private_key(ec.SECP256R1())
            make_folder(self._folder, 0o700)
            write_file(self._key_path(name), _key_pem(key))
            self._point({**pointer, "next": name})
        key = self._load_key(name)
        uri = x509.UniformResourceIdentifier(spiffe_uri(self._trust_domain, agent))
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        builder = builder.add_extension(x509.SubjectAlternativeName([uri]), critical=True)
        csr = builder.sign(key, hashes.SHA256())
        return Request(name, csr.public_bytes(serialization.Encoding.PEM))

    def store(self, chain_pem: bytes, agent: AgentId, now: datetime) -> Credential:
        """Keep the certificate for the next key, after checking it.

        Raises:
            TrustError: it is for another key or agent, or the pinned CA does not vouch for it.
            HostError: no certificate was asked for, or the disk refused.
        """
        name = self._pointer().get("next")
        if name is None:
            raise HostError("a certificate came that this host did not ask for")
        self._require_ours(chain_pem, self._load_key(name).public_key(), agent, now)
        write_file(self._chain_path(name), chain_pem, 0o644)
        stored = self._credential(name, is_next=True)
        if stored is None:
            raise HostError(f"certificate of credential {name} vanished")
        return stored

    def _require_ours(
        self, chain_pem: bytes, key: ec.EllipticCurvePublicKey, agent: AgentId, now: datetime
    ) -> None:
        if len(chain_pem) > _CHAIN_MAX_BYTES:
            raise TrustError(f"certificate chain has {len(chain_pem)} bytes, at most {_CHAIN_MAX_BYTES}")
        try:
            leaf, *others = x509.load_pem_x509_certificates(chain_pem)
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            named, certified = agent_of_names(names, self._trust_domain), leaf.public_key()
        except _UNREADABLE as exc:
            raise TrustError(f"certificate that the server sent is not an agent's: {exc}") from exc
        if named != agent:
            raise TrustError(f"certificate that the server sent names agent {named}, this is agent {agent}")
        if certified != key:
            raise TrustError("certificate that the server sent is for another key than this host asked for")
        begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        if ends <= begins:
            raise TrustError(f"certificate that was sent ends at {ends:%FT%TZ}, begins at {begins:%FT%TZ}")
        root = x509.load_pem_x509_certificate(self._ca_pem.encode())
        try:
            verifier = PolicyBuilder().store(Roots([root])).time(now).build_client_verifier()
            verifier.verify(leaf, others)
        except VerificationError as exc:
            raise TrustError(f"the pinned CA does not vouch for certificate {_hex(leaf)}: {exc}") from exc

    def promote(self, credential: Credential) -> None:
        """Make a next credential the current one: a connection with it worked. Raises HostError."""
        pointer = self._pointer()
        if pointer.get("next") != credential.name:
            return
        self._point({"current": credential.name})
        self._remove(pointer.get("current"))

    def discard_next(self) -> None:
        """Drop the next key and its certificate; the current credential stays. Raises HostError."""
        pointer = self._pointer()
        name = pointer.pop("next", None)
        if name is not None:
            self._point(pointer)
            self._remove(name)

    def _credential(self, name: str | None, *, is_next: bool) -> Credential | None:
        if name is None or not self._chain_path(name).exists():
            return None
        try:
            leaf = x509.load_pem_x509_certificates(self._chain_path(name).read_bytes())[0]
        except (OSError, ValueError) as exc:
            raise HostError(f"certificate {self._chain_path(name)} cannot be read") from exc
        return Credential(
            name=name,
            key=self._key_path(name),
            chain=self._chain_path(name),
            serial=_hex(leaf),
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
            is_next=is_next,
        )

    def _pointer(self) -> dict[str, str]:
        found = _read(self._folder / "credentials.json") or {}
        return {slot: str(name) for slot, name in found.items() if slot in {"current", "next"}}

    def _point(self, pointer: dict[str, str]) -> None:
        data = json.dumps(pointer, sort_keys=True).encode() + b"\n"
        write_file(make_folder(self._folder, 0o700) / "credentials.json", data)

    def _remove(self, name: str | None) -> None:
        if name is not None:
            self._key_path(name).unlink(missing_ok=True)
            self._chain_path(name).unlink(missing_ok=True)

    def _load_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        path = self._key_path(name)
        try:
            key = serialization.load_pem_private_key(path.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise HostError(f"private key {path} cannot be opened") from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise HostError(f"private key {path} is not an elliptic curve key")
        return key

    def _key_path(self, name: str) -> Path:
        return self._folder / f"{name}.key.pem"

    def _chain_path(self, name: str) -> Path:
        return self._folder / f"{name}.chain.pem"


def _hex(certificate: x509.Certificate) -> str:
    return f"{certificate.serial_number:x}"


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise HostError(f"{path} cannot be read") from exc
