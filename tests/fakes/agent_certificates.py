"""Certificates as the authority answers requests with, without its ledger."""

from datetime import timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from keys.identity import AgentId
from keys.policy import approve
from keys.profile import AgentProfile, agent_leaf, window
from tests.fakes.certificates import DOMAIN, NOW, Serials, SmallCa

PROFILE = AgentProfile(DOMAIN)


def certify(ca: SmallCa, csr_pem: bytes, who: AgentId, *, life: timedelta = timedelta(days=7)) -> bytes:
    """Answer a request as the authority does."""
    approved = approve(csr_pem, expected=None, trust_domain=DOMAIN)
    return chain(ca, who, approved.public_key, life)


def chain(
    ca: SmallCa, who: AgentId, key: ec.EllipticCurvePublicKey, life: timedelta = timedelta(days=7)
) -> bytes:
    """Return a chain for any key, leaf first."""
    holds = window(NOW, life, timedelta(minutes=1), ca.issuing)
    leaf = agent_leaf(
        PROFILE, agent=who, public_key=key, issuer=ca.issuing, serial=Serials()(), holds=holds
    ).sign(ca.issuing_key, hashes.SHA256())
    return leaf.public_bytes(Encoding.PEM) + ca.issuing.public_bytes(Encoding.PEM)
