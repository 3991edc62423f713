"""Makes an offer of connection settings complete for one agent: what it connects by is put in, then linted.

An offer of the OpAMP connection without the agent's certificate would end its certificate, so the chain of
the serial that it presented is read from the ledger; an agent on a bearer token is told the very header it
showed, because the server keeps no more than a hash of it. An agent behind a gateway is told nothing of the
OpAMP connection: its own leads to the gateway, and the certificate is the gateway's. Blocks on I/O: for the
worker thread.
"""

from distribution.domain.agent import Plan
from distribution.domain.connection_lint import Presents, require_safe
from distribution.domain.connection_offer import compose
from distribution.domain.connections import ConnectionOffer
from distribution.domain.terms import Terms
from distribution.errors import PolicyError
from distribution.flows.enrol import Caller
from distribution.protocol.effects import Equip
from distribution.protocol.session import Session, Standing
from keys import ledger
from keys.certificate import Serial, Slot
from keys.identity import AgentId
from storage.database import Database

_SCHEME = "wss"  # every agent's is secure; which of the two it is plays no part in what is checked


class Equipper:
    """Completes offers. Thread-safe."""

    def __init__(self, database: Database, terms: Terms) -> None:
        self._database = database
        self._terms = terms

    def equip(self, agent: AgentId, caller: Caller, wanted: Equip) -> ConnectionOffer:
        """Return the offer of these settings that is safe for this agent.

        Args:
            agent: whose message it was.
            caller: what its connection presented.
            wanted: what it is to have, and which try it is.

        Raises:
            PolicyError: its credential is not live, a newer one waits to be used, or its OpAMP connection is
                a gateway's; nothing may be offered.
            InsecureOfferError: the lint refused it.
        """
        chain, headers = None, dict[str, str]()
        if wanted.settings.heartbeat_seconds is not None:
            if caller.passage is not None:
                raise PolicyError(
                    f"agent {agent} is behind a gateway, its OpAMP connection is not ours to set"
                )
            if caller.serial is not None:
                chain = self._live_chain(agent, caller.serial)
            elif caller.bearer is not None and caller.presented is not None:
                headers = {"Authorization": f"Bearer {caller.presented}"}
        offer = ConnectionOffer(wanted.settings, wanted.attempt, chain, headers)
        told = compose(offer, None, self._terms, _SCHEME)
        require_safe(told, _presents(caller), reports_status=wanted.reports_status)
        return offer

    def _live_chain(self, agent: AgentId, serial: Serial) -> bytes:
        with self._database.read() as connection:
            live = [one for one in ledger.open_credentials(connection, agent) if one.chain_pem]
        presented = next((one for one in live if one.serial == serial), None)
        if presented is None:
            raise PolicyError(f"serial {serial} of agent {agent} is not live, its settings are not offered")
        if presented.slot is Slot.CURRENT and any(one.slot is Slot.NEXT for one in live):
            # To offer the old certificate now would take the new one back.
            raise PolicyError(f"agent {agent} has a newer certificate that it did not use yet")
        return presented.chain_pem


def beside_credential(session: Session, plan: Plan | None) -> ConnectionOffer | None:
    """Return the settings that an answer to a certificate request states too, None if there are none.

    Some agents build all of their settings from one message: without these a renewal would turn their own
    telemetry off. It is the try that they were offered last, not another one.
    """
    if plan is None or plan.connections is None or session.standing is Standing.ENROLLING:
        return None
    wanted, offered = plan.connections, session.connections
    known = offered is not None and offered.hash == wanted.digest
    return ConnectionOffer(wanted, offered.attempt if offered is not None and known else 1)


def _presents(caller: Caller) -> Presents:
    if caller.serial is not None:
        return Presents.CERTIFICATE
    known = caller.bearer is not None or caller.token is not None
    return Presents.TOKEN if known else Presents.NOTHING
