"""The hashes that name an offer: of what an agent installs, and of nothing else."""

from dataclasses import replace

from distribution.domain.offer import Offer
from distribution.domain.package import PackageType
from tests.fakes.offers import an_offer

OFFER = an_offer("1.0.0")
PACKAGE = OFFER.packages[0]


def test_everything_that_is_installed_makes_another_hash() -> None:
    """Name, type, version and platform by the path, content, and the mark of a downgrade."""
    others = [
        replace(PACKAGE, name="another"),
        replace(PACKAGE, downgrade=True),
        replace(PACKAGE, artifact=replace(PACKAGE.artifact, type=PackageType.ADDON)),
        an_offer("1.1.0").packages[0],
    ]
    hashes = {PACKAGE.hash, *(other.hash for other in others)}
    assert len(hashes) == len(others) + 1


def test_the_hash_of_the_set_does_not_depend_on_its_order() -> None:
    """Two packages either way are one offer; one of them alone is another."""
    other = replace(PACKAGE, name="another")
    assert Offer((PACKAGE, other)).hash == Offer((other, PACKAGE)).hash != OFFER.hash
