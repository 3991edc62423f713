"""keys/identity.py."""

from datetime import UTC, datetime
from uuid import RFC_4122, UUID

import pytest
from cryptography import x509

from keys.errors import RefusedError
from keys.identity import AgentId, agent_of_names, new_uid, require_trust_domain, spiffe_uri
from tests.fakes.certificates import DOMAIN, agent


def _names(*uris: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri) for uri in uris])


def test_a_uid_has_three_forms() -> None:
    """Wire bytes, text and value read back as one another."""
    who = agent()
    assert AgentId.from_bytes(who.raw) == who
    assert AgentId.parse(str(who)) == who


def test_a_uid_of_another_length_is_refused() -> None:
    """OpAMP 5.1: sixteen bytes."""
    with pytest.raises(RefusedError, match="15 bytes, expected 16"):
        AgentId.from_bytes(bytes(15))


def test_a_uid_of_zeros_is_refused() -> None:
    """All zero names nobody."""
    with pytest.raises(RefusedError, match="all zero"):
        AgentId(UUID(int=0))


def test_text_that_is_no_uuid_is_refused() -> None:
    """The text is shown."""
    with pytest.raises(RefusedError, match="'nobody' is not a UUID"):
        AgentId.parse("nobody")


def test_one_uri_names_an_agent() -> None:
    """What `spiffe_uri` writes, `agent_of_names` reads."""
    assert agent_of_names(_names(spiffe_uri(DOMAIN, agent())), DOMAIN) == agent()


@pytest.mark.parametrize("domain", ["", "UPPER", "a b", "-a", "a/b", "a" * 256])
def test_a_trust_domain_is_plain(domain: str) -> None:
    """SPIFFE-ID 2.1: lower-case letters, digits, dots, hyphens and underscores."""
    with pytest.raises(RefusedError, match="trust domain"):
        require_trust_domain(domain)


def test_a_good_trust_domain_is_returned() -> None:
    """The checked text comes back."""
    assert require_trust_domain(DOMAIN) == DOMAIN


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (_names(), "0 names"),
        (_names(spiffe_uri(DOMAIN, agent(1)), spiffe_uri(DOMAIN, agent(2))), "2 names"),
        (x509.SubjectAlternativeName([x509.DNSName("a.example")]), "exactly one URI"),
        (_names(f"spiffe://{DOMAIN}/agent/../{agent()}"), "not an agent's SPIFFE id"),
        (_names(f"spiffe://{DOMAIN}/agent/{agent()}?x"), "not an agent's SPIFFE id"),
        (_names(spiffe_uri("other.example", agent())), "'other.example' is not ours"),
    ],
)
def test_other_names_are_refused(names: x509.SubjectAlternativeName, why: str) -> None:
    """Exactly one URI, of the one form, in our trust domain."""
    with pytest.raises(RefusedError, match=why):
        agent_of_names(names, DOMAIN)


def test_a_new_uid_is_a_version_7_uuid() -> None:
    """The uid starts with the time in milliseconds and says its version and variant."""
    made = new_uid(datetime(2026, 1, 1, tzinfo=UTC), b"\xff" * 10)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert made.int >> 80 == int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


def test_agents_are_told_apart_in_sets() -> None:
    """Equal uids are one, others are not."""
    assert len({agent(1), AgentId.parse(str(agent(1))), agent(2)}) == 2
