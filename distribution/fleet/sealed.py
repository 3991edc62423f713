"""What lies sealed in the database: all that nobody can read any more without the server's seal file."""

from sqlalchemy import Connection, func, select

from distribution.fleet.config_assignments import values
from distribution.fleet.configurations import versions
from distribution.fleet.connections import settings
from distribution.fleet.earlier_values import earlier_values

_SEALED = {
    "connection settings with secrets": settings.c.sealed != "",
    "secret versions of configurations": versions.c.secret.is_(True),
    "values of single agents": values.c.value.is_not(None),
    "earlier values of single agents": earlier_values.c.value.is_not(None),
}


def what_is_sealed(connection: Connection) -> tuple[str, ...]:
    """Return how many of each kind of thing are sealed, as words; nothing where none is."""
    found = {
        kind: connection.scalar(select(func.count()).where(sealed)) or 0 for kind, sealed in _SEALED.items()
    }
    return tuple(f"{count} {kind}" for kind, count in found.items() if count)
