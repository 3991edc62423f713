"""`quartermaster init`: found an installation in a new folder. It needs no server and speaks to none.

What it stands on is imported when it runs: the other commands must start without a database's weight.
"""

import dataclasses
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

_SERIAL_BYTES = 19
_SALT_BYTES = 16
_SECRET_BYTES = 32


Folder = Annotated[Path, typer.Argument(help="A new folder for the installation.")]
TrustDomain = Annotated[str, typer.Option(help="Name of the fleet in every agent's certificate.")]
Host = Annotated[
    list[str], typer.Option(help="Name or address agents reach the server by; the first is advertised.")
]
Bind = Annotated[str, typer.Option(help="Address the agents' and downloads' listeners bind.")]
AgentsPort = Annotated[int, typer.Option(help="Port of the agents' listener.")]
DownloadsPort = Annotated[int, typer.Option(help="Port of the downloads' listener.")]
OperatorsPort = Annotated[int, typer.Option(help="Port of the operators' listener.")]
Objects = Annotated[str, typer.Option(help="file:FOLDER or s3://BUCKET/PREFIX.")]
Endpoint = Annotated[str | None, typer.Option(help="An S3-compatible server that is not AWS.")]
Region = Annotated[str | None, typer.Option(help="Region of the bucket.")]
CaBundle = Annotated[Path | None, typer.Option(help="CA certificates that verify the S3 server.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database", help="postgresql+psycopg://USER@HOST/NAME; a file of its own by default."),
]
Single = Annotated[
    bool, typer.Option("--single", help="One offline key a role instead of 2 of 3: for trying out only.")
]


def init(
    folder: Folder,
    trust_domain: TrustDomain,
    host: Host,
    bind: Bind = "0.0.0.0",  # noqa: S104 - agents come from other hosts
    agents_port: AgentsPort = 4320,
    downloads_port: DownloadsPort = 4321,
    operators_port: OperatorsPort = 4322,
    objects: Objects = "file:objects",
    s3_endpoint: Endpoint = None,
    s3_region: Region = None,
    s3_ca_bundle: CaBundle = None,
    database: DatabaseUrl = None,
    single: Single = False,
) -> None:
    """Make keys, first metadata, database and settings; offline keys go to a folder of their own."""
    from distribution.founding_plan import Plan

    plan = Plan(
        folder=folder,
        trust_domain=trust_domain,
        hosts=tuple(host),
        bind=bind,
        agents_port=agents_port,
        downloads_port=downloads_port,
        operators_port=operators_port,
        objects_url=objects,
        s3_endpoint=s3_endpoint,
        s3_region=s3_region,
        s3_ca_bundle=s3_ca_bundle,
        database_url=database,
    )
    _found(dataclasses.replace(plan, threshold=1, holders=1) if single else plan, single=single)


def _found(plan: Any, *, single: bool) -> None:
    from distribution.founding import found
    from keys.profile import serial_from

    founded = found(
        plan,
        now=datetime.now(UTC).replace(microsecond=0),
        new_serial=lambda: serial_from(secrets.token_bytes(_SERIAL_BYTES)),
        new_secret=lambda: secrets.token_urlsafe(_SECRET_BYTES),
        new_salt=lambda: secrets.token_bytes(_SALT_BYTES),
    )
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]Offline keys[/bold] in {founded.offline}: move them away from this machine.")
    for key in founded.offline_keys:
        console.print(f"    {key.name}")
    if single:
        console.print(
            "[yellow]One key a role (--single): whoever has it has the fleet. Not for use.[/yellow]"
        )
    console.print(f"[bold]The server's folder[/bold] is {founded.server}; it holds no key that can mint.")
    console.print(f"    quartermaster serve --settings {founded.settings}")
    console.print(f"[bold]The operator's folder[/bold] is {founded.operator}: trust file and first token.")
    console.print(f"    export QUARTERMASTER_TRUST={founded.trust} QUARTERMASTER_TOKEN_FILE={founded.token}")
