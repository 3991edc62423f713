"""The real parts as fixtures. A part that is missing fails every test that takes it, by name."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from boto3.session import Session

from tests.interop import parts
from tests.interop.certificates import make_server_files
from tests.interop.programs import free_port, listening


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

    def server_environment(self) -> Mapping[str, str]:
        """Return the environment from which a server of ours takes its credentials for this place."""
        return {**os.environ, "AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Place]:
    """A running versitygw over TLS, with one empty bucket."""
    program = parts.require(parts.VERSITYGW)
    folder = tmp_path_factory.mktemp("versitygw")
    for name in ("data", "iam", "versions"):
        (folder / name).mkdir()
    files, port = make_server_files(folder), free_port()
    place = S3Place(
        f"https://localhost:{port}", "quartermaster", "us-east-1", "access", "a-test-secret", files.ca
    )
    arguments = [
        str(program),
        "--access",
        place.access_key,
        "--secret",
        place.secret_key,
        "--region",
        place.region,
    ]
    arguments += ["--port", f"127.0.0.1:{port}", "--iam-dir", str(folder / "iam"), "--quiet"]
    arguments += ["--cert", str(files.certificate), "--key", str(files.key)]
    arguments += ["posix", "--versioning-dir", str(folder / "versions"), str(folder / "data")]
    with listening(arguments, port, folder / "versitygw.log"):
        session = Session(place.access_key, place.secret_key, region_name=place.region)
        client = session.client("s3", endpoint_url=place.endpoint, verify=str(place.ca))
        client.create_bucket(Bucket=place.bucket)
        client.close()
        yield place


@pytest.fixture(scope="session")
def collectors() -> Mapping[str, Path]:
    """Two builds of a real collector that differ in their version, by version."""
    return {"1.0.0": parts.require(parts.COLLECTOR_1_0), "1.1.0": parts.require(parts.COLLECTOR_1_1)}


@pytest.fixture(scope="session")
def opamp_go_client() -> Path:
    """An agent of ours on the published opamp-go client library."""
    return parts.require(parts.OPAMP_GO_CLIENT)
