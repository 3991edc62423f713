"""Offers for tests: one package, whatever version and downgrade mark is asked for; what agents say of it."""

import hashlib

from distribution.domain.agent import PackageReport, PackagesReport, PackageState
from distribution.domain.attempts import numbered
from distribution.domain.offer import Offer, OfferedPackage
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath


def an_offer(version: str = "1.0.0", *, name: str = "otelcol", downgrade: bool = False) -> Offer:
    """Return a complete set of one top-level package for linux-amd64."""
    path = TargetPath.parse(f"acme/{name}/{version}/linux-amd64/{name}")
    body = str(path).encode()
    artifact = Artifact(path, PackageType.TOP_LEVEL, len(body), Digest(hashlib.sha256(body).digest()))
    return Offer((OfferedPackage(name, artifact, downgrade),))


def a_status(state: PackageState, offer: Offer, *, error: str = "") -> PackagesReport:
    """Return what an agent says of an offer of one package that it took up."""
    package = offer.packages[0]
    has = package.hash if state is PackageState.INSTALLED else b""
    version = str(package.version) if has else ""
    report = PackageReport(package.name, state, version, has, str(package.version), package.hash, error)
    return PackagesReport((report,), numbered(offer.hash, 1))
