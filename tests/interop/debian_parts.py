"""Debian 13, as the system of our images: Python 3.13 over OpenSSL 3.5, where this machine may have others.

The rules are those of `parts`. The part's program runs a command there: `debian FOLDER... -- COMMAND...`.

`python -m tests.interop.debian_parts COMMAND...` runs a command there, in the folder it is called in and with
this machine's Go; alone, it makes the part. The folder must have no `.venv` of another system.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.interop.parts import (
    HERE,
    MissingPartError,
    Part,
    build,
    go_command,
    install_debian,
    require,
    run,
    sources_in,
)

RELEASE = "trixie"
PACKAGES = ("ca-certificates", "git", "make", "openssl", "postgresql", "procps", "python3-venv")
SOURCE = HERE / "debian"


def _tool(command: str) -> str:
    if shutil.which(command, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        install_debian(command)
    return shutil.which(command, path="/usr/sbin:/usr/bin:/sbin:/bin") or command


def _mirror() -> list[str]:
    """Return where this machine has Debian's packages from; nothing, for the usual place, if none is told."""
    said = run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], cwd=HERE)
    return [site for site in said.split() if site.rstrip("/").endswith("/debian")][:1]


def _debian(folder: Path) -> None:
    if os.geteuid() != 0:
        raise MissingPartError("a root folder of Debian can be made, and entered, by root alone")
    root = folder / "root"
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
    # In a namespace of its own, so that what it mounts for the time being cannot stay.
    made = ["unshare", "--mount", "--", _tool("debootstrap"), *options, RELEASE, str(root), *_mirror()]
    run(made, cwd=folder)
    shutil.rmtree(root / "var" / "cache" / "apt" / "archives")
    shutil.copyfile(SOURCE / "debian.sh", folder / "debian")
    (folder / "debian").chmod(0o755)


DEBIAN = Part("debian", RELEASE, _debian, (*sources_in(SOURCE), Path(__file__)))
PARTS = (DEBIAN,)


def go_folders() -> list[str]:
    """Return where this machine's Go is, and what it keeps."""
    told = json.loads(run([go_command(), "env", "-json", "GOROOT", "GOPATH", "GOCACHE"], cwd=HERE))
    return [told["GOROOT"], told["GOPATH"], told["GOCACHE"]]


def main(words: list[str]) -> int:
    """Run a command there, or make the part."""
    if not words:
        return build(PARTS)
    program, folders = require(DEBIAN), go_folders()
    path = f"{folders[0]}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {**os.environ, "PATH": path, "LANG": "C.UTF-8"}
    there = [str(program), str(Path.cwd()), *folders, "--", *words]
    return subprocess.run(there, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
