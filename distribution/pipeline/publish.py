"""Publishes files: this pipeline's own digest of its own file, on a role that it verified itself.

A digest is computed here, from the file, before the server is asked anything; the server's is only compared
with it. What is signed is the verified list plus exactly these files, and each is shown before the key is
used. Publishing the same again signs nothing; other bytes under a published path are refused here already.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distribution.catalog.delegation import target_file
from distribution.catalog.outsider import Outsider
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath
from distribution.errors import ConflictError, InvalidError, UnverifiedError
from distribution.pipeline.home import Seat
from distribution.pipeline.ports import PipelineServer, Submitted
from distribution.pipeline.signing import Tools, advance
from keys.metadata import TargetFile, Targets

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A file of this pipeline, and what it is to be published as."""

    source: Path
    path: TargetPath
    type: PackageType


@dataclass(frozen=True, slots=True)
class Published:
    """What is published now. `added` is empty and `submitted` None if all of it was there already."""

    role_version: int
    artifacts: tuple[Artifact, ...]
    added: tuple[Artifact, ...]
    submitted: Submitted | None


@dataclass(frozen=True, slots=True)
class _Own:
    source: Path
    artifact: Artifact


def publish(seat: Seat, files: Sequence[ReleaseFile], tools: Tools) -> Published:
    """Upload, sign and hand in files of one publisher, all in one version of its release role.

    Args:
        seat: the publisher's release seat.
        files: at least one, each for a path of its own.
        tools: server, time, and where to tell what is added.

    Raises:
        InvalidError: a file that cannot be read or changes meanwhile, a path that is not the publisher's.
        ConflictError: a path is published with other bytes; or others were first too often.
        UnverifiedError: the server shows or returns what this pipeline did not sign or send.
        UnreachableError: try again; what was signed is handed in first.
    """
    own = [_own(file) for file in files]
    for each in own:
        if each.artifact.path.publisher != seat.publisher:
            raise InvalidError(f"target {str(each.artifact.path)!r} is not of publisher {seat.publisher!r}")
    if len({str(each.artifact.path) for each in own}) != len(own) or not own:
        raise InvalidError(f"{len(own)} files were given, expected one or more, each for its own path")
    added: list[Artifact] = []
    uploaded: set[str] = set()

    def decide(_view: Outsider, role: Targets) -> Mapping[str, TargetFile] | None:
        missing = [each for each in own if not _is_listed(role, each.artifact)]
        added[:] = [each.artifact for each in missing]
        for each in missing:
            if str(each.artifact.path) not in uploaded:
                _upload(tools.server, each)
                uploaded.add(str(each.artifact.path))
            tools.show(_line(role, each.artifact))
        if not missing:
            return None
        return {**role.targets, **{str(each.artifact.path): target_file(each.artifact) for each in missing}}

    signed = advance(seat, decide, tools)
    artifacts = tuple(each.artifact for each in own)
    if signed.submitted is None:
        return Published(signed.version, artifacts, (), None)
    return Published(signed.version, artifacts, tuple(added), signed.submitted)


def renew(seat: Seat, tools: Tools) -> Published:
    """Sign the role again as it is, so that it expires later. Works for both seats; raises as `publish`."""

    def decide(_view: Outsider, role: Targets) -> Mapping[str, TargetFile]:
        tools.show(f"role {seat.role} v{role.version} is signed again, with nothing added")
        return role.targets

    signed = advance(seat, decide, tools)
    return Published(signed.version, (), (), signed.submitted)


def _own(file: ReleaseFile) -> _Own:
    found = hashlib.sha256()
    length = 0
    for chunk in _chunks(file.source):
        found.update(chunk)
        length += len(chunk)
    return _Own(file.source, Artifact(file.path, file.type, length, Digest(found.digest())))


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except OSError as exc:
        raise InvalidError(f"file {str(source)!r} cannot be read: {exc.strerror}") from exc


def _unchanged(own: _Own) -> Iterator[bytes]:
    """Yield the file as it was when it was hashed; a file that changed meanwhile ends in an error."""
    found = hashlib.sha256()
    for chunk in _chunks(own.source):
        found.update(chunk)
        yield chunk
    if found.digest() != own.artifact.sha256.raw:
        raise InvalidError(
            f"file {str(own.source)!r} changed: it had sha256 {own.artifact.sha256}, "
            f"while it was sent {found.hexdigest()}"
        )


def _is_listed(role: Targets, artifact: Artifact) -> bool:
    listed = role.targets.get(str(artifact.path))
    if listed is None:
        return False
    if listed != target_file(artifact):
        raise ConflictError(
            f"target {str(artifact.path)!r} is published with {listed.hashes} as {listed.custom}, "
            f"this file has sha256 {artifact.sha256} as {artifact.type.value}"
        )
    return True


def _upload(server: PipelineServer, own: _Own) -> None:
    artifact = own.artifact
    theirs = server.upload(str(artifact.path), artifact.sha256, artifact.length, _unchanged(own))
    if theirs != artifact.sha256:
        raise UnverifiedError(
            f"server says that target {str(artifact.path)!r} has sha256 {theirs}, "
            f"this file has {artifact.sha256}"
        )


def _line(role: Targets, artifact: Artifact) -> str:
    return (
        f"adds {artifact.path} ({artifact.type.value}, {artifact.length} bytes, sha256 {artifact.sha256}) "
        f"to v{role.version} with {len(role.targets)} targets"
    )
