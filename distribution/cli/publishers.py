"""`quartermaster publisher`: keys of a publisher, its delegation by the offline keys, its expiry."""

from pathlib import Path
from typing import Annotated

import typer

from distribution.catalog.request import PublisherRequest
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, tell
from distribution.cli.pipelines import HomeOption, home_and_root, now, operators_root, tools
from distribution.cli.session import Session
from distribution.errors import InvalidError
from distribution.pipeline.enlist import add_publisher
from distribution.pipeline.home import create
from distribution.pipeline.publish import renew as sign_again
from keys.custody import file_uri

app = noun("Publishers: their keys, and who delegates to them.")


@app.command()
def keygen(
    name: Annotated[str, typer.Argument(help="The publisher's name.")],
    packages: Annotated[list[str], typer.Argument(help="The packages it asks to publish.")],
    home: HomeOption,
    as_json: Json = False,
) -> None:
    """Make a publisher's release and guard key, and the request to be delegated to. Speaks to no server."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise InvalidError(f"publisher's folder {str(home)!r} cannot be made: {exc.strerror}") from exc
    made = create(home, name, packages, now())
    if as_json:
        show_json({"publisher": made.publisher, "request": str(made.request_file)})
        return
    tell(f"publisher {name}: keys are in {home}; better keep the guard key elsewhere than the release key")
    typer.echo(str(made.request_file))


@app.command()
def add(
    context: typer.Context,
    request: Annotated[Path, typer.Argument(help="The publisher's request file.")],
    key: Annotated[
        list[str], typer.Option(help="An offline targets key, a path or URI; repeat it up to the threshold.")
    ],
    memory: Annotated[
        Path | None,
        typer.Option(help="Where to remember what was verified; beside the trust file by default."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Delegate to a publisher: signed here, by the offline keys, never by the server."""
    session: Session = context.obj
    try:
        asked = PublisherRequest.parse(request.read_bytes())
    except OSError as exc:
        raise InvalidError(f"request {str(request)!r} cannot be read: {exc.strerror}") from exc
    folder = memory or session.trust_file.absolute().parent / "metadata"
    added = add_publisher(
        asked,
        [text if ":" in text else file_uri(Path(text).absolute()) for text in key],
        root=operators_root(session),
        memory=folder,
        tools=tools(session),
    )
    if as_json:
        found = {
            "publisher": added.publisher,
            "packages": list(added.packages),
            "targets_version": added.targets_version,
        }
        show_json(found)
        return
    word = "may publish" if added.submitted is not None else "could publish already"
    tell(
        f"publisher {added.publisher} {word} {', '.join(added.packages)}, by targets v{added.targets_version}"
    )


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List publishers."""
    found = context.obj.api.get("/publishers")
    if as_json:
        show_json(found)
        return
    columns = ("name", "verified", "packages", "floors", "releases", "problem")
    show_table(columns, [[one.get(column) for column in columns] for one in found["publishers"]])


@app.command()
def renew(context: typer.Context, home: HomeOption, as_json: Json = False) -> None:
    """Sign a publisher's two roles again, with nothing added, so that they expire later."""
    session: Session = context.obj
    opened, root = home_and_root(session, home)
    versions = {
        seat.role: sign_again(seat, tools(session)).role_version
        for seat in (opened.release_seat(root), opened.guard_seat(root))
    }
    if as_json:
        show_json({"roles": versions})
    else:
        tell(", ".join(f"role {role} is at v{version}" for role, version in versions.items()))
