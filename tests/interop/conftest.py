"""The real parts as fixtures. A part that is missing fails every test that takes it, by name.

`make interop` runs several of these tests at the same time; `sharing` says which belong together.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from boto3.session import Session

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from tests.interop import matrix, parts
from tests.interop.certificates import make_server_files
from tests.interop.fleet import installation
from tests.interop.kube_cluster import COLLECTORS, NAME, KubeCluster, collector, kube_cluster
from tests.interop.programs import free_port, listening
from tests.interop.sharing import CLIENTS, ByGroup, group_of, place_of
from tests.interop.stores import STORES, S3Place, Store, objects_at


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


@pytest.fixture(scope="session", params=STORES)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, collectors: Mapping[str, Path]
) -> Iterator[Cluster]:
    """An installation of ours on each kind of store, with both versions of the collector published."""
    store: Store = request.param
    folder = tmp_path_factory.mktemp(store)
    with objects_at(store, request) as objects, installation(folder, objects, collectors) as running:
        yield running


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An installation of ours on a folder, for clients that others wrote; it soon tries again what failed."""
    folder = tmp_path_factory.mktemp("world")
    releases = {}
    for version in ("1.0.0", "1.1.0"):
        releases[version] = folder / f"release-{version}"
        releases[version].write_text(f"this is release {version}\n" * 1000, encoding="utf-8")
    with installation(folder, ObjectsAt(), releases, agents="retry_seconds = 2") as running:
        yield running


@pytest.fixture(scope="session")
def opamp_go_client() -> Path:
    """An agent of ours on the published opamp-go client library."""
    return parts.require(parts.OPAMP_GO_CLIENT)


@pytest.fixture(scope="session")
def kube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeCluster]:
    """A Kubernetes API server with one collector that a bridge may manage."""
    with kube_cluster(tmp_path_factory.mktemp("kube")) as running:
        running.create(COLLECTORS, collector(NAME))
        yield running


def _records(item: pytest.Item) -> bool:
    """Whether a test is of a file that records what clients were seen to do."""
    names = vars(item.module).values() if isinstance(item, pytest.Function) else ()
    return any(value is matrix or value is matrix.saw for value in names)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests into their order. Raises UsageError if one records what the page might then not see."""
    items.sort(key=lambda item: place_of(item.nodeid))
    for item in items:
        if _records(item) and group_of(item.nodeid) != CLIENTS:
            raise pytest.UsageError(f"{item.nodeid} records what a client does, and is not among the clients")


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByGroup | None:
    """Hand out whole groups where `--dist loadscope` asks for scopes."""
    return ByGroup(config, log) if config.getvalue("dist") == "loadscope" else None
