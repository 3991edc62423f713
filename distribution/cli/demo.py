"""`quartermaster demo`: a fleet in one throw-away folder, from the first key to a verified journal."""

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

_LOG_COLUMNS = 140
"""How wide tables are where nobody's terminal says."""


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running at the end, and say what to try.")
    ] = False,
    s3: Annotated[
        str | None,
        typer.Option(help="s3://BUCKET/PREFIX instead of a folder; endpoint and keys from AWS_* variables."),
    ] = None,
) -> None:
    """Watch a fleet being upgraded, downgraded, saved from a broken release and cut off by a revocation."""
    from distribution.demo.cluster import Cluster
    from distribution.demo.places import ObjectsAt, s3_at
    from distribution.demo.processes import DemoError
    from distribution.demo.stage import Stage
    from distribution.demo.story import tell, what_to_try

    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_COLUMNS)
    root = Path(tempfile.mkdtemp(prefix="quartermaster-demo-"))
    console.print(f"Everything of this demonstration is in {root}", highlight=False)
    cluster = Cluster(root, s3_at(s3) if s3 else ObjectsAt())
    happened = False
    try:
        stage = Stage(console)
        tell(cluster, stage)
        console.print(f"[bold green]Every step happened, in {stage.elapsed:.1f} s.[/bold green]")
        happened = True
        if keep:
            what_to_try(cluster, stage)
    except DemoError as exc:
        console.print(f"[bold red]It did not happen:[/bold red] {exc}", markup=True, highlight=False)
        console.print(f"Logs are in {cluster.logs}", highlight=False)
        raise typer.Exit(1) from exc
    finally:
        if not (keep and happened):
            cluster.close()
    if happened and not keep:
        shutil.rmtree(root)
