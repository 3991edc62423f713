"""The rooms of the house and what may never be imported where, as data; test_layers.py reads the tree by it.

Imports point down: a room may import a room of a lower floor, and itself. Two rooms of one floor do not
know each other. `NEVERS` forbids more, `ONLY` lists all that a room may have of ours, `NAMES` keeps single
names in the one file that owns them.
"""

from collections.abc import Iterable, Iterator

from tests.house.tree import OURS, UNKNOWN_IMPORT, Module, imports, within

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"opamp.v1"}),
    frozenset({"storage", "distribution.errors", "distribution.logs"}),
    frozenset({"keys", "distribution.domain", "distribution.setting_values"}),
    frozenset({"distribution.setting_sections", "distribution.founding_plan"}),
    frozenset({"distribution.settings"}),
    frozenset({"distribution.fleet", "distribution.protocol", "distribution.catalog"}),
    frozenset({"distribution.flows", "distribution.agent", "distribution.pipeline"}),
    frozenset({"distribution.transport"}),
    frozenset({"distribution.compose", "distribution.founding"}),
    frozenset({"distribution.demo"}),
    frozenset({"distribution.cli"}),
)
PACKAGES = frozenset({"distribution", "opamp"})
"""Packages that hold rooms and nothing else: a docstring belongs to no floor."""

SERVER_LIBRARIES = frozenset(
    {
        "alembic",
        "boto3",
        "botocore",
        "httptools",
        "httpx",
        "prometheus_client",
        "psycopg",
        "pydantic",
        "sqlalchemy",
        "starlette",
        "uvicorn",
        "uvloop",
        "yaml",
    }
)
PURE = (
    "distribution.domain",
    "distribution.protocol",
    "keys.policy",
    "keys.profile",
    "keys.rotation",
    "keys.lint",
    "keys.identity",
    "keys.certificate",
    "storage.objects",
)
ADAPTERS = frozenset({"storage.s3", "storage.directory", "storage.open"})
CHOOSERS = (
    "distribution.compose",
    "distribution.founding",
    "distribution.cli",
    "distribution.demo",
    "storage.open",
)

NEVERS: tuple[tuple[str, frozenset[str]], ...] = (
    *(
        (room, frozenset({"starlette", "asyncio", "boto3", "sqlalchemy", "sqlite3", "socket"}))
        for room in PURE
    ),
    ("distribution.agent", SERVER_LIBRARIES),
    ("distribution.pipeline", SERVER_LIBRARIES - {"httpx"}),
    ("storage", frozenset({"starlette", "uvicorn", "asyncio"})),
    ("keys", frozenset({"starlette", "uvicorn", "asyncio", "boto3"})),
)
"""What a room never imports, besides what its floor forbids."""

FAR_NEVERS: tuple[tuple[str, frozenset[str]], ...] = (
    ("distribution.agent", SERVER_LIBRARIES),
    ("distribution.pipeline", SERVER_LIBRARIES - {"httpx"}),
    ("keys.ceremony", SERVER_LIBRARIES),
)
"""What a room does not bring along either, however many imports lie between."""

ONLY: tuple[tuple[str, frozenset[str]], ...] = (
    ("storage", frozenset({"storage"})),
    ("keys", frozenset({"keys", "storage"})),
    ("distribution.domain", frozenset({"distribution.domain", "distribution.errors"})),
    ("distribution.setting_values", frozenset({"distribution.errors"})),
    ("distribution.setting_sections", frozenset({"distribution.setting_values"})),
    (
        "distribution.settings",
        frozenset({"distribution.errors", "distribution.setting_sections", "distribution.setting_values"}),
    ),
    (
        "distribution.flows.configuration",
        frozenset(
            {
                "distribution.flows.configuration",
                "distribution.flows.ports",
                "distribution.domain",
                "distribution.errors",
                "distribution.fleet",
                "keys",
                "storage",
            }
        ),
    ),
    (
        "distribution.agent",
        frozenset(
            {
                "distribution.agent",
                "distribution.protocol.wire",
                "distribution.domain",
                "distribution.errors",
                "distribution.logs",
                "keys.errors",
                "keys.identity",
                "keys.rotation",
                "keys.trust",
                "opamp.v1",
            }
        ),
    ),
    (
        "distribution.pipeline",
        frozenset(
            {
                "distribution.pipeline",
                "distribution.catalog.delegation",
                "distribution.catalog.outsider",
                "distribution.catalog.request",
                "distribution.domain",
                "distribution.errors",
                "keys.ceremony",
                "keys.custody",
                "keys.errors",
                "keys.metadata",
                "keys.roles",
                "keys.trust",
            }
        ),
    ),
)
"""All that a room may import of ours."""

OWNED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("opamp.v1.opamp_pb2", ("distribution.protocol", "distribution.agent", "opamp.v1")),
    ("opamp.v1.anyvalue_pb2", ("distribution.protocol", "distribution.agent", "opamp.v1")),
    ("google.protobuf", ("distribution.protocol", "distribution.agent", "opamp.v1")),
    ("boto3", ("storage.s3",)),
    ("botocore", ("storage.s3",)),
    ("yaml", ("distribution.flows.configuration.yaml_text",)),
    *((adapter, (*CHOOSERS, adapter)) for adapter in sorted(ADAPTERS)),
)
"""Modules that only these rooms import."""

NAMES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("load_pem_private_key", ("keys.custody", "distribution.agent.credentials")),
    ("load_der_private_key", ("keys.custody", "distribution.agent.credentials")),
    ("from_priv_key_uri", ("keys.custody",)),
    ("load_cert_chain", ("distribution.transport.tls", "distribution.agent", "distribution.compose")),
)
"""Names that open a private key, and the files that may say them."""


def floor_of(name: str) -> tuple[int, str] | None:
    """Return floor and room of a module of ours, or None if it is in no room."""
    for number, rooms in enumerate(FLOORS):
        for room in rooms:
            if within(name, room):
                return number, room
    return None


def _place_faults(module: Module) -> Iterator[str]:
    if floor_of(module.name) is None and module.name not in PACKAGES:
        yield f"{module.name} is in no room of the house"


def _import_faults(module: Module, line: int, target: str) -> Iterator[str]:
    says = f"{module.name}:{line} imports {target}"
    if target == UNKNOWN_IMPORT:
        yield f"{module.name}:{line} imports a module by a computed name"
    if target.partition(".")[0] in OURS:
        here, there = floor_of(module.name), floor_of(target)
        if here is not None and there is not None and here[1] != there[1] and there[0] >= here[0]:
            yield f"{says}: floor {here[0]} may not import floor {there[0]}"
        for room, allowed in ONLY:
            if within(module.name, room) and not any(within(target, one) for one in allowed):
                yield f"{says}: {room} has only {', '.join(sorted(allowed))}"
    for room, forbidden in NEVERS:
        if within(module.name, room) and any(within(target, one) for one in forbidden):
            yield f"{says}: never in {room}"
    for owned, owners in OWNED:
        if within(target, owned) and not any(within(module.name, one) for one in owners):
            yield f"{says}: that belongs to {', '.join(owners)}"


def faults(modules: Iterable[Module]) -> list[str]:
    """Return every place where the modules break the layers, one sentence each."""
    all_modules = list(modules)
    known = frozenset(module.name for module in all_modules)
    found: list[str] = []
    for module in all_modules:
        found.extend(_place_faults(module))
        for line, target in imports(module, known):
            found.extend(_import_faults(module, line, target))
    return sorted(set(found))


def reach(room: str, modules: Iterable[Module]) -> dict[str, str]:
    """Return everything that importing a room brings, each with the module of ours that asks for it."""
    by_name = {module.name: module for module in modules}
    known, found = frozenset(by_name), dict[str, str]()
    waiting = [name for name in by_name if within(name, room)]
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        for _, target in imports(by_name[name], known):
            found.setdefault(target, name)
            if target in by_name and target not in seen:
                seen.add(target)
                waiting.append(target)
    return found
