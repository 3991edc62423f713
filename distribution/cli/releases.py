"""`quartermaster release`: what is published, and publishing with a pipeline's own key."""

from pathlib import Path
from typing import Annotated

import typer

from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, tell
from distribution.cli.pipelines import HomeOption, home_and_root, tools
from distribution.cli.session import Session
from distribution.domain.package import PackageType, TargetPath, Version
from distribution.pipeline.publish import ReleaseFile
from distribution.pipeline.publish import publish as run

app = noun("Releases: see them, publish them with a pipeline's own key.")


@app.command("list")
def list_(
    context: typer.Context,
    publisher: Annotated[str | None, typer.Option(help="Only this publisher's.")] = None,
    package: Annotated[str | None, typer.Option(help="Only of this package.")] = None,
    as_json: Json = False,
) -> None:
    """List the releases that verify from the root."""
    found = context.obj.api.get("/releases", publisher=publisher, package=package)
    if as_json:
        show_json(found)
        return
    rows = [
        [
            f"{one['publisher']}/{one['package']}@{one['version']}",
            one["type"],
            sorted(one["files"]),
            one["below_floor"],
        ]
        for one in found["releases"]
    ]
    show_table(("release", "type", "platforms", "below floor"), rows)


@app.command()
def publish(
    context: typer.Context,
    package: Annotated[str, typer.Argument(help="The package's name.")],
    version: Annotated[str, typer.Argument(help="Its semantic version.")],
    file: Annotated[list[str], typer.Option(help="PLATFORM=PATH, such as linux-amd64=./agent; repeat it.")],
    home: HomeOption,
    name: Annotated[
        str | None, typer.Option("--as", help="The file's name in its target path; its own by default.")
    ] = None,
    kind: Annotated[
        PackageType, typer.Option("--type", help="What it is to an agent.")
    ] = PackageType.TOP_LEVEL,
    as_json: Json = False,
) -> None:
    """Publish files: signed here, over this machine's own digests, on a role it verified itself."""
    session: Session = context.obj
    opened, root = home_and_root(session, home)
    files = [_file(opened.publisher, package, version, text, name, kind) for text in file]
    published = run(opened.release_seat(root), files, tools(session))
    submitted = published.submitted
    found = {
        "release": f"{opened.publisher}/{package}@{Version.parse(version)}",
        "role_version": published.role_version,
        "snapshot_version": None if submitted is None else submitted.snapshot_version,
        "added": [str(artifact.path) for artifact in published.added],
        "sha256": {str(artifact.path): str(artifact.sha256) for artifact in published.artifacts},
    }
    if as_json:
        show_json(found)
    else:
        word = "is published" if submitted is not None else "was published already"
        tell(f"{found['release']} {word}, in v{published.role_version} of role {opened.publisher}")


def _file(
    publisher: str, package: str, version: str, text: str, name: str | None, kind: PackageType
) -> ReleaseFile:
    platform, equals, source = text.partition("=")
    if not equals or not source:
        raise typer.BadParameter(f"{text!r} is not PLATFORM=PATH", param_hint="--file")
    path = TargetPath(publisher, package, Version.parse(version), platform, name or Path(source).name)
    return ReleaseFile(Path(source), path, kind)
