"""A publisher's request that is hostile to the operator who reads it beside the offline keys."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from distribution.catalog.request import PublisherRequest
from distribution.errors import UnverifiedError
from distribution.pipeline.home import create
from tests.fakes.certificates import new_key

P_256 = bytes.fromhex("06082a8648ce3d030107")
UNKNOWN_CURVE = bytes.fromhex("06082a8648ce3d030103")
EC_KEY = bytes.fromhex("06072a8648ce3d0201")
UNKNOWN_KEY = bytes.fromhex("06072a8648ce3d0202")


@pytest.mark.parametrize(("known", "odd"), [(P_256, UNKNOWN_CURVE), (EC_KEY, UNKNOWN_KEY)])
def test_a_key_of_a_kind_that_nobody_knows(tmp_path: Path, known: bytes, odd: bytes) -> None:
    """It is refused in words, like any key that is not P-256."""
    home = create(tmp_path, "acme", ["collector"], datetime.now(UTC).replace(microsecond=0))
    request = json.loads(home.request_file.read_bytes())
    der = new_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = base64.encodebytes(der.replace(known, odd)).decode()
    request["release_key"]["keyval"]["public"] = (
        f"-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n"
    )
    with pytest.raises(UnverifiedError, match="holds no readable public key"):
        PublisherRequest.parse(json.dumps(request).encode())
