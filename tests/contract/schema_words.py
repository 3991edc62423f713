"""A schema put into words, a line a thing, so that two can be compared and a difference has a name."""

from collections.abc import Mapping

from sqlalchemy import Connection, inspect


def describe(connection: Connection) -> dict[str, str]:
    """Return every table, column, key, constraint and index as the database itself reports it."""
    found: dict[str, str] = {}
    inspector = inspect(connection)
    for table in inspector.get_table_names():
        if table == "alembic_version":
            continue
        found[f"table {table}"] = "exists"
        for column in inspector.get_columns(table):
            kind = column["type"].compile(connection.dialect)
            null = "null" if column["nullable"] else "not null"
            found[f"column {table}.{column['name']}"] = f"{kind}, {null}, default {column['default']}"
        primary = inspector.get_pk_constraint(table)
        found[f"primary key of {table}"] = f"{primary['name']} {primary['constrained_columns']}"
        for key in inspector.get_foreign_keys(table):
            found[f"foreign key {table}.{key['name']}"] = (
                f"{key['constrained_columns']} -> {key['referred_table']} {key['referred_columns']} "
                f"{key['options']}"
            )
        for unique in inspector.get_unique_constraints(table):
            found[f"unique constraint {table}.{unique['name']}"] = str(unique["column_names"])
        for check in inspector.get_check_constraints(table):
            found[f"check {table}.{check['name']}"] = check["sqltext"]
        for index in inspector.get_indexes(table):
            kinds = {name: str(value) for name, value in sorted(index.get("dialect_options", {}).items())}
            found[f"index {table}.{index['name']}"] = f"{index['column_names']} {index['unique']} {kinds}"
    return found


def differences(migrated: Mapping[str, str], declared: Mapping[str, str]) -> list[str]:
    """Return a sentence for each thing that the migrations and the tables in the code do not agree on."""
    return [
        f"{thing}: the migrations make it {migrated.get(thing, 'nothing')!r}, "
        f"the code declares {declared.get(thing, 'nothing')!r}"
        for thing in sorted(migrated.keys() | declared.keys())
        if migrated.get(thing) != declared.get(thing)
    ]
