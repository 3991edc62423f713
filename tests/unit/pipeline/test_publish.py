"""A pipeline signs its own digest of its own file, shows it, and reads it back."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.catalog.catalogue import load
from distribution.domain.package import Digest, PackageType, Version
from distribution.errors import ConflictError, InvalidError, UnverifiedError
from distribution.pipeline import publish
from distribution.pipeline.publish import Published
from tests.fakes.publisher_home import V1, V2, Publisher, publisher
from tests.fakes.publishing import NOW, artifact


@pytest.fixture
def acme(tmp_path: Path) -> Publisher:
    return publisher(tmp_path / "acme")


def versions(acme: Publisher) -> list[str]:
    world = acme.server.world
    return [str(version) for version in load(world.store, world.root, NOW).versions("acme", "otelcol")]


def test_a_file_becomes_a_release(acme: Publisher) -> None:
    """With the digest computed here, shown before it is signed."""
    published = acme.publish(V1, b"one")
    one = artifact(V1, b"one")
    assert (published.role_version, published.artifacts, published.added) == (2, (one,), (one,))
    assert published.submitted is not None
    world = acme.server.world
    release = load(world.store, world.root, NOW).find("acme", "otelcol", Version.parse("1.0.0"))
    assert release.artifacts == {"linux-amd64": one}
    assert acme.shown == [f"adds {V1} (top_level, 3 bytes, sha256 {one.sha256}) to v1 with 0 targets"]


def test_several_files_are_one_version(acme: Publisher) -> None:
    """All of them or none."""
    files = [acme.file(V1, b"one"), acme.file(V1.replace("amd64", "arm64"), b"uno")]
    published = publish.publish(acme.release_seat, files, acme.tools())
    assert (published.role_version, len(published.added)) == (2, 2)


def test_the_same_again_signs_nothing(acme: Publisher) -> None:
    """And uploads nothing."""
    acme.publish(V1, b"one")
    before = len(acme.server.submissions), len(acme.server.uploads)
    assert acme.publish(V1, b"one") == Published(2, (artifact(V1, b"one"),), (), None)
    assert (len(acme.server.submissions), len(acme.server.uploads)) == before


def test_other_bytes_under_a_published_path_are_refused_here(acme: Publisher) -> None:
    """Before anything is uploaded or signed."""
    acme.publish(V1, b"one")
    with pytest.raises(ConflictError, match="is published with"):
        acme.publish(V1, b"two")
    addon = acme.file(V1, b"one", PackageType.ADDON)
    with pytest.raises(ConflictError, match="as addon"):
        publish.publish(acme.release_seat, [addon], acme.tools())
    assert len(acme.server.submissions) == 1


def test_files_have_to_be_the_publishers_own_and_apart(acme: Publisher) -> None:
    """Another publisher's path, the same path twice, no file, or none that can be read."""
    with pytest.raises(InvalidError, match="is not of publisher 'acme'"):
        acme.publish("other/otelcol/1.0.0/any/x", b"x")
    twice = [acme.file(V1, b"one"), acme.file(V1, b"two")]
    with pytest.raises(InvalidError, match="2 files were given"):
        publish.publish(acme.release_seat, twice, acme.tools())
    with pytest.raises(InvalidError, match="0 files were given"):
        publish.publish(acme.release_seat, [], acme.tools())
    gone = acme.file(V1, b"one")
    gone.source.unlink()
    with pytest.raises(InvalidError, match="cannot be read"):
        publish.publish(acme.release_seat, [gone], acme.tools())


def test_a_digest_that_is_not_ours_is_refused(acme: Publisher) -> None:
    """The server's answer is compared, never signed."""
    acme.server.lie_about_digest = Digest(bytes(32))
    with pytest.raises(UnverifiedError, match=f"server says that target '{V1}' has sha256 {'00' * 32}"):
        acme.publish(V1, b"one")
    assert acme.server.submissions == []


def test_a_file_that_changes_while_it_is_sent_is_refused(acme: Publisher) -> None:
    """What was hashed is what is sent, or nothing is."""
    file = acme.file(V1, b"one")
    server = acme.server
    original = server.upload

    def upload(path: str, digest: Digest, length: int, chunks: Iterable[bytes]) -> Digest:
        file.source.write_bytes(b"eno")
        return original(path, digest, length, chunks)

    server.upload = upload  # type: ignore[method-assign] # the file changes at this moment
    with pytest.raises(InvalidError, match="changed: it had sha256"):
        publish.publish(acme.release_seat, [file], acme.tools())
    assert versions(acme) == []


def test_a_role_is_renewed_as_it_is(acme: Publisher) -> None:
    """The next version lists the same and expires later; so does the guard's."""
    acme.publish(V1, b"one")
    later = acme.tools(NOW + timedelta(hours=20))
    assert publish.renew(acme.release_seat, later).role_version == 3
    assert publish.renew(acme.guard_seat, later).role_version == 2
    current = acme.server.world.repository.current()
    assert (current.version_of("acme"), current.version_of("acme-guard")) == (3, 2)
    assert versions(acme) == ["1.0.0"]
    acme.publish(V2, b"two")
    assert versions(acme) == ["1.0.0", "2.0.0"]
