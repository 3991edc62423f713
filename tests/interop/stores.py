"""The kinds of store that a whole installation runs on: a folder, and a real S3 server over TLS."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from uuid import uuid4

import pytest

from distribution.demo.places import ObjectsAt

Store: TypeAlias = Literal["directory", "versitygw"]
STORES: tuple[Store, ...] = ("directory", "versitygw")


@dataclass(frozen=True, slots=True)
class S3Place:
    """A bucket on a real S3-compatible server over TLS."""

    endpoint: str
    bucket: str
    region: str
    access_key: str
    secret_key: str
    ca: Path

    def contract_environment(self) -> Mapping[str, str]:
        """Return the environment that makes the contract suite run on this place as well."""
        prefix = "QUARTERMASTER_TEST_S3_"
        return {
            **os.environ,
            prefix + "ENDPOINT": self.endpoint,
            prefix + "BUCKET": self.bucket,
            prefix + "REGION": self.region,
            prefix + "ACCESS_KEY": self.access_key,
            prefix + "SECRET_KEY": self.secret_key,
            prefix + "CA": str(self.ca),
        }


@contextmanager
def objects_at(store: Store, request: pytest.FixtureRequest) -> Iterator[ObjectsAt]:
    """Yield where a server is to keep its objects, with the credentials for it in the environment."""
    if store == "directory":
        yield ObjectsAt()
        return
    place: S3Place = request.getfixturevalue("versitygw")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ACCESS_KEY_ID", place.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", place.secret_key)
        yield ObjectsAt(f"s3://{place.bucket}/run-{uuid4().hex}", place.endpoint, place.region, place.ca)
