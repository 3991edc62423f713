"""Offers for tests: one package, whatever version and downgrade mark is asked for."""

import hashlib

from distribution.domain.offer import Offer, OfferedPackage
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath


def an_offer(version: str = "1.0.0", *, name: str = "otelcol", downgrade: bool = False) -> Offer:
    """Return a complete set of one top-level package for linux-amd64."""
    path = TargetPath.parse(f"acme/{name}/{version}/linux-amd64/{name}")
    body = str(path).encode()
    artifact = Artifact(path, PackageType.TOP_LEVEL, len(body), Digest(hashlib.sha256(body).digest()))
    return Offer((OfferedPackage(name, artifact, downgrade),))
