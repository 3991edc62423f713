"""keys/authority.py: certificates for agents that did not enroll over a connection of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.x509.oid import AttributeOID

from keys.errors import TokenRefusedError
from keys.identity import spiffe_uri
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import DOMAIN, agent, csr, new_key, pem, request_builder


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def test_a_token_of_its_own_in_the_request_enrolls_an_agent_behind_a_gateway(work: AtWork) -> None:
    """Its labels are the token's; a token that does not admit is journalled and leaves the passage."""
    work.enroll(new_key(), agent(9), work.token())
    work.gateway(agent(9))
    passage = work.grants.admit(agent(9), agent(), {"site": "a"}, "operator:ann", work.clock())
    key, token = new_key(), work.token("t2", labels={"env": "prod"})

    def carrying(text: str) -> bytes:
        builder = request_builder(uris=[spiffe_uri(DOMAIN, agent())])
        return pem(builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, text.encode()), key)

    with pytest.raises(TokenRefusedError):
        work.authority.enroll_through(carrying("t2.wrong"), passage, work.clock())
    assert work.kinds()[-1] == "token.refused"
    assert work.admission.held_by(agent()) == (passage,)
    issued = work.authority.enroll_through(carrying(token), passage, work.clock())
    assert issued is not None
    assert work.admission.held_by(agent()) == (issued.serial,)
    assert work.admission.labels_of(agent()) == {"env": "prod"}


def test_an_ordered_certificate_names_its_agent(work: AtWork) -> None:
    """The one in the request, or the one the operator names."""
    named = work.authority.certify(csr(new_key(), agent(3)), None, {}, "operator:ann", work.clock())
    unnamed = pem(request_builder(common_names=["host"]), new_key())
    given = work.authority.certify(unnamed, agent(4), {}, "operator:ann", work.clock())
    assert (named.agent, given.agent) == (agent(3), agent(4))
    assert work.admission.admit(given.serial).agent == agent(4)
