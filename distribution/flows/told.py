"""What one message says, in JSON for operators' eyes: secrets out, long things by their size or their name.

Never shown: headers' values, bodies of configurations and custom messages, certificate requests, keys. A
certificate is shown by its serial, a configuration by its keys and sizes.
"""

import hashlib
from collections.abc import Mapping

from cryptography import x509

from distribution.domain.agent import (
    Capability,
    Components,
    CustomMessage,
    Health,
    PackagesReport,
    Report,
)
from distribution.domain.configuration import ConfigObject
from distribution.domain.connections import ConnectionOffer, Destination
from distribution.protocol.offers import Reply
from storage.journal import JSON

Shown = dict[str, JSON]


def came(report: Report) -> Shown:
    """Show a message of an agent; what it leaves out is left out."""
    found: Shown = {"sequence": report.sequence}
    capabilities: list[JSON] = [
        str(each.name).lower() for each in Capability if each and each in report.capabilities
    ]
    parts: Shown = {
        "capabilities": capabilities or None,
        "description": None
        if report.description is None
        else {
            "identifying": dict(report.description.identifying),
            "attributes": dict(report.description.attributes),
        },
        "health": None if report.health is None else _health(report.health),
        "packages": None if report.packages is None else _packages(report.packages),
        "certificate_request": None if report.csr is None else _sized(report.csr),
        "effective_config": None if report.effective is None else _objects(report.effective),
        "config_status": None
        if report.config_status is None
        else _status(report.config_status.state.value, report.config_status.hash, report.config_status.error),
        "connection_status": None
        if report.connection_status is None
        else _status(
            report.connection_status.state.value,
            report.connection_status.hash,
            report.connection_status.error,
        ),
        "components": None if report.components is None else _components(report.components),
        "custom_capabilities": None
        if report.custom_capabilities is None
        else list[JSON](sorted(report.custom_capabilities)),
        "custom_message": None if report.custom is None else _custom(report.custom),
        "uid_request": report.wants_uid or None,
        "goodbye": report.disconnect or None,
    }
    return found | {name: value for name, value in parts.items() if value is not None}


def went(reply: Reply) -> Shown:
    """Show a message to an agent; what it leaves out is left out."""
    parts: Shown = {
        "error": None
        if reply.refusal is None
        else {"type": reply.refusal.fault.value, "text": reply.refusal.text},
        "greeting": reply.greeting or None,
        "report_full_state": reply.full_state or None,
        "report_components": reply.components or None,
        "restart": reply.restart or None,
        "packages": None if reply.offer is None else _offer(reply),
        "config": None
        if reply.config is None
        else {
            "origin": reply.config.config.origin,
            "attempt": reply.config.attempt,
            "objects": _objects(reply.config.config.objects),
        },
        "certificate": None if reply.credential is None else _serial(reply.credential.chain_pem),
        "connection_settings": None if reply.connections is None else _connections(reply.connections),
        "new_uid": None if reply.new_uid is None else str(reply.new_uid),
        "custom_capabilities": list[JSON](reply.custom_capabilities) or None,
        "custom_message": None if reply.custom is None else _custom(reply.custom),
    }
    return {name: value for name, value in parts.items() if value is not None}


def _health(health: Health) -> Shown:
    parts: Shown = {name: _health(part) for name, part in health.components.items()}
    own: Shown = {"healthy": health.healthy, "status": health.status, "error": health.error}
    return {**own, "components": parts} if parts else own


def _packages(report: PackagesReport) -> Shown:
    said: list[JSON] = [
        {
            "name": each.name,
            "state": each.state.value,
            "version": each.version,
            "offered_version": each.offered_version,
            "error": each.error,
        }
        for each in report.packages
    ]
    return {"packages": said, "offer": report.offer_hash.hex(), "error": report.error}


def _objects(objects: Mapping[str, ConfigObject]) -> Shown:
    return {
        key: {"bytes": len(each.body), "content_type": each.content_type} for key, each in objects.items()
    }


def _status(state: str, named: bytes, error: str) -> Shown:
    return {"state": state, "hash": named.hex(), "error": error}


def _components(components: Components) -> Shown:
    listed = None if components.listed is None else len(components.listed)
    return {"hash": components.hash.hex(), "listed_chars": listed}


def _custom(message: CustomMessage) -> Shown:
    return {"capability": message.capability, "type": message.type, "bytes": len(message.data)}


def _offer(reply: Reply) -> Shown:
    packages = () if reply.offer is None else reply.offer.packages
    offered: list[JSON] = [
        {"name": each.name, "version": str(each.version), "path": str(each.artifact.path)}
        for each in packages
    ]
    return {"attempt": reply.offer_attempt, "packages": offered}


def _connections(offer: ConnectionOffer) -> Shown:
    told = offer.settings
    return {
        "origin": told.origin,
        "attempt": offer.attempt,
        "certificate": None if offer.chain_pem is None else _serial(offer.chain_pem),
        "telemetry": {signal.value: _destination(place) for signal, place in told.telemetry.items()},
        "other": {name: _destination(place) for name, place in told.other.items()},
        "heartbeat_seconds": told.heartbeat_seconds,
    }


def _destination(place: Destination | None) -> JSON:
    if place is None:
        return "off"
    names: list[JSON] = [*sorted(place.headers)]
    return {"endpoint": place.endpoint.partition("?")[0], "headers": names}


def _serial(chain_pem: bytes) -> Shown:
    """Show a certificate by its serial, as `agents show` does."""
    try:
        leaf = x509.load_pem_x509_certificates(chain_pem)[0]
    except ValueError:
        return _sized(chain_pem)
    return {"serial": f"{leaf.serial_number:x}", "not_after": f"{leaf.not_valid_after_utc:%FT%TZ}"}


def _sized(data: bytes) -> Shown:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
