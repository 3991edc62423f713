"""What a thief with the store's credentials does: the same name, other bytes."""

from collections.abc import Callable

from distribution.demo.cluster import PACKAGE, PUBLISHER, Cluster
from distribution.demo.processes import DemoError
from storage.open import open_store

_MAX_BYTES = 1 << 20


def alter_stored_bytes(cluster: Cluster, version: str, note: Callable[[str], None]) -> None:
    """Overwrite the stored files of one release with other bytes of the same length.

    Raises:
        DemoError: the store holds no file of that release.
    """
    place = cluster.objects
    store = open_store(
        place.url,
        base=cluster.server_folder,
        endpoint=place.endpoint,
        region=place.region,
        ca_bundle=place.ca_bundle,
    )
    found = list(store.list(f"targets/{PUBLISHER}/{PACKAGE}/{version}/"))
    if not found:
        raise DemoError(f"store {place.url} holds no file of {PUBLISHER}/{PACKAGE} {version}")
    for each in found:
        body, info = store.read(each.key, _MAX_BYTES)
        store.replace(each.key, body.replace(b"collector", b"c0llector"), info.etag)
        note(f"overwritten: {each.key}")
