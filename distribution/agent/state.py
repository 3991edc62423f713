"""What this host holds, as values: the healthy set, the set on trial, and what failed before.

`State` is the single truth of an agent. It is small, written whole, and read at every start; whatever else
lies in the agent's folder is either named by it or rubbish.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distribution.agent.rules import Wanted, WantedSet
from distribution.domain.package import Digest, PackageType, Version
from distribution.errors import HostError, InvalidError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Installed:
    """One package on this host. `file` is relative to the folder of versions."""

    version: Version
    sha256: Digest
    type: PackageType
    file: str
    offer_hash: bytes
    """The server's name for the content this was installed from; repeated in reports."""


Packages = Mapping[str, Installed]


@dataclass(frozen=True, slots=True)
class Trial:
    """A set that differs from the healthy one in one package and has yet to prove itself."""

    packages: Packages
    package: str
    starts: int = 1
    """How often the program was started for it; written before each start."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A content that was tried and did not hold. It is not tried again while the offer stays the same."""

    package: str
    version: str
    sha256: bytes
    offer_hash: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything the agent must remember across its own death."""

    healthy: Packages = field(default_factory=dict)
    """The set that last ran healthy; what runs unless a trial is on."""
    previous: Packages = field(default_factory=dict)
    """The healthy set before that; kept on disk in case the healthy one is damaged."""
    trial: Trial | None = None
    failures: tuple[Failure, ...] = ()
    offer: WantedSet | None = None
    """The last offer; a restarted agent goes on with it before it has heard from the server."""

    @property
    def running(self) -> Packages:
        """The set whose program runs, or is to run, now."""
        return self.trial.packages if self.trial else self.healthy

    @property
    def files(self) -> frozenset[str]:
        """Every file the state names."""
        sets = (self.healthy, self.previous, self.trial.packages if self.trial else {})
        return frozenset(installed.file for packages in sets for installed in packages.values())


def to_json(state: State) -> bytes:
    """Return the text of the state file."""
    trial = state.trial
    document = {
        "format": FORMAT,
        "healthy": _set_out(state.healthy),
        "previous": _set_out(state.previous),
        "trial": None
        if trial is None
        else {"packages": _set_out(trial.packages), "package": trial.package, "starts": trial.starts},
        "failures": [
            {
                "package": failure.package,
                "version": failure.version,
                "sha256": failure.sha256.hex(),
                "offer_hash": failure.offer_hash.hex(),
                "reason": failure.reason,
            }
            for failure in state.failures
        ],
        "offer": None if state.offer is None else _offer_out(state.offer),
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def from_json(raw: bytes, name: str) -> State:
    """Read a state file. Raises HostError, naming the file, if it is not one of ours."""
    try:
        document: Any = json.loads(raw)
        if document["format"] != FORMAT:
            raise HostError(f"{name} has format {document['format']!r}, this agent reads {FORMAT}")
        trial = document["trial"]
        return State(
            healthy=_set_in(document["healthy"]),
            previous=_set_in(document["previous"]),
            trial=trial and Trial(_set_in(trial["packages"]), str(trial["package"]), int(trial["starts"])),
            failures=tuple(_failure_in(failure) for failure in document["failures"]),
            offer=document["offer"] and _offer_in(document["offer"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidError) as exc:
        raise HostError(f"{name} is not an agent's state: {exc!r}") from exc


def _set_out(packages: Packages) -> dict[str, dict[str, str]]:
    return {
        name: {
            "version": installed.version.text,
            "sha256": str(installed.sha256),
            "type": installed.type.value,
            "file": installed.file,
            "offer_hash": installed.offer_hash.hex(),
        }
        for name, installed in packages.items()
    }


def _set_in(document: Mapping[str, Mapping[str, str]]) -> Packages:
    return {
        str(name): Installed(
            version=Version.parse(entry["version"]),
            sha256=Digest.from_hex(entry["sha256"]),
            type=PackageType(entry["type"]),
            file=str(entry["file"]),
            offer_hash=bytes.fromhex(entry["offer_hash"]),
        )
        for name, entry in document.items()
    }


def _offer_out(offer: WantedSet) -> dict[str, Any]:
    return {
        "hash": offer.hash.hex(),
        "packages": {
            name: {
                "type": wanted.type.value,
                "version": wanted.version,
                "sha256": wanted.sha256.hex(),
                "hash": wanted.hash.hex(),
                "downgrade": wanted.downgrade,
            }
            for name, wanted in offer.packages.items()
        },
    }


def _offer_in(document: Mapping[str, Any]) -> WantedSet:
    packages = {
        str(name): Wanted(
            name=str(name),
            type=PackageType(entry["type"]),
            version=str(entry["version"]),
            sha256=bytes.fromhex(entry["sha256"]),
            hash=bytes.fromhex(entry["hash"]),
            downgrade=entry["downgrade"] and str(entry["downgrade"]),
        )
        for name, entry in document["packages"].items()
    }
    return WantedSet(packages, bytes.fromhex(document["hash"]))


def _failure_in(entry: Mapping[str, str]) -> Failure:
    return Failure(
        package=str(entry["package"]),
        version=str(entry["version"]),
        sha256=bytes.fromhex(entry["sha256"]),
        offer_hash=bytes.fromhex(entry["offer_hash"]),
        reason=str(entry["reason"]),
    )
