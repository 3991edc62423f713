"""founding_plan.py: a plan that cannot be carried out is refused by its option, before anything is made."""

from pathlib import Path

import pytest

from distribution.errors import InvalidError
from distribution.founding_plan import Plan, require_plan


def plan(folder: Path, **changes: object) -> Plan:
    parts = {"trust_domain": "t.example", "hosts": ("fleet.example", "10.0.0.1", "fd00::1"), **changes}
    return Plan(folder, **parts)  # type: ignore[arg-type] # any part of a plan


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"agents_port": 1, "downloads_port": 65_535},
        {"objects_url": "s3://bucket/prefix", "s3_endpoint": "http://127.0.0.1:9000", "s3_region": "eu"},
        {"s3_ca_bundle": Path(__file__)},
        {"database_url": "postgresql+psycopg://ann:pw@host/name"},
    ],
)
def test_what_can_be_is_taken(tmp_path: Path, changes: dict[str, object]) -> None:
    """And nothing is made."""
    require_plan(plan(tmp_path, **changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trust_domain": "Fleet"}, "--trust-domain 'Fleet' is not lower-case letters"),
        ({"hosts": ()}, "--host is given 0 times"),
        ({"hosts": ("a", "b_c")}, "--host 'b_c' is neither an IP address nor a DNS name"),
        ({"bind": " "}, "--bind ' ' is not a text"),
        ({"agents_port": 99_999}, "--agents-port 99999 is not between 1 and 65535"),
        ({"downloads_port": 0}, "--downloads-port 0 is not between 1 and 65535"),
        ({"operators_port": -1}, "--operators-port -1 is not between 1 and 65535"),
        ({"objects_url": "gs://bucket"}, "--objects 'gs://bucket' is neither file:folder nor s3://"),
        ({"s3_endpoint": "minio:9000"}, "--s3-endpoint 'minio:9000' is not an address of the form https://"),
        ({"s3_region": ""}, "--s3-region '' is not a text"),
        ({"s3_ca_bundle": Path("/nowhere/ca.pem")}, "--s3-ca-bundle '/nowhere/ca.pem' is no file"),
        ({"database_url": "mysql://ann:pw@host/name"}, r"--database (not shown) is neither sqlite:///"),
    ],
)
def test_what_cannot_be_is_named_by_its_option(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    """With its value, but for the database's address, which may hold a password."""
    with pytest.raises(InvalidError) as caught:
        require_plan(plan(tmp_path, **changes))
    assert words in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [("agents", "downloads"), ("agents", "operators"), ("downloads", "operators")],
)
def test_two_listeners_on_one_port_are_refused(tmp_path: Path, one: str, other: str) -> None:
    """The server could not start, and both options are named."""
    ports = {f"{one}_port": 25_000, f"{other}_port": 25_000}
    with pytest.raises(InvalidError, match=f"--{one}-port and --{other}-port are both 25000"):
        require_plan(plan(tmp_path, **ports))


def test_where_the_database_will_lie(tmp_path: Path) -> None:
    """Relative to the server's folder, as the server will read its settings."""
    assert plan(tmp_path).database_file == tmp_path / "server" / "quartermaster.db"
    assert plan(tmp_path, database_url="sqlite:///a.db").database_file == tmp_path / "server" / "a.db"
    assert plan(tmp_path, database_url="postgresql+psycopg://h/n").database_file is None
