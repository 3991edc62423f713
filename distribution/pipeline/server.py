"""The server over HTTP: hands in through the operators' API, reads from the downloads' listener.

TLS is verified with the CA of the operator's own trust file and nothing else; no proxy or certificate of the
environment is used, and no redirect is followed. What is read needs no token and gets none. Every read has
a cap and every wait a limit.
"""

import base64
import json
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from distribution import errors
from distribution.domain.package import Digest
from distribution.pipeline.ports import Submitted
from keys.trust import Trust

_ANSWER_MAX_BYTES = 65_536
_FILE_MAX_BYTES = 5_000_000
_CONNECT_SECONDS = 10.0
_WAIT_SECONDS = 60.0
_SERVER_ERROR = 500
_TOKEN = re.compile(r"[!-~]+")
"""Refused here, because the HTTP library would show in its error what it does not take."""

_CODES: Mapping[str, type[errors.DistributionError]] = {
    "conflict": errors.ConflictError,
    "invalid": errors.InvalidError,
    "unknown": errors.UnknownError,
    "unverified": errors.UnverifiedError,
    "policy": errors.PolicyError,
    "oversized": errors.OversizedError,
    "forbidden": errors.ForbiddenError,
    "unauthenticated": errors.UnauthenticatedError,
    "busy": errors.BusyError,
}


class HttpServer:
    """A `PipelineServer` over HTTPS. Use it as a context, or close it."""

    def __init__(self, trust: Trust, token: str) -> None:
        """Connect when first asked.

        Args:
            trust: the operator's own trust file: addresses and CA.
            token: the operators' API token; it goes to that API alone.

        Raises:
            InvalidError: the token cannot stand in a header. It is not shown.
        """
        if _TOKEN.fullmatch(token) is None:
            raise errors.InvalidError("token is empty or has characters that no token has")
        context = ssl.create_default_context(cadata=trust.ca_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        timeout = httpx.Timeout(_WAIT_SECONDS, connect=_CONNECT_SECONDS)
        self._downloads = httpx.Client(
            base_url=trust.downloads_url, verify=context, timeout=timeout, trust_env=False
        )
        self._operators = httpx.Client(
            base_url=trust.operators_url,
            verify=context,
            timeout=timeout,
            trust_env=False,
            headers={"Authorization": f"Bearer {token}"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._downloads.close()
        self._operators.close()

    def fetch(self, key: str) -> Iterable[bytes]:
        """Return a file of the downloads' listener, whole, of at most 5 MB."""
        path = f"/{quote(key)}"
        url = f"{str(self._downloads.base_url).rstrip('/')}{path}"
        with _reaching("downloads' listener", url), self._downloads.stream("GET", path) as answer:
            if answer.status_code == httpx.codes.NOT_FOUND:
                raise errors.UnknownError(f"{path} is not on the downloads' listener")
            if answer.status_code != httpx.codes.OK:
                raise errors.UnreachableError(f"GET {path} was answered with {answer.status_code}")
            return [_whole(answer, _FILE_MAX_BYTES, path)]

    def upload(self, path: str, digest: Digest, length: int, chunks: Iterable[bytes]) -> Digest:
        """Stream a target's bytes up, with our digest of them (RFC 9530)."""
        publisher = path.split("/")[1] if path.startswith("guard/") else path.split("/", maxsplit=1)[0]
        headers = {
            "Repr-Digest": f"sha-256=:{base64.b64encode(digest.raw).decode()}:",
            "Content-Length": str(length),
            "Content-Type": "application/octet-stream",
        }
        url = f"/api/v1/publishers/{quote(publisher)}/files/{quote(path)}"
        found = self._put(url, chunks, headers)
        return Digest.from_hex(_field(found, "sha256", str))

    def submit_role(self, publisher: str, role: str, body: bytes) -> Submitted:
        """Hand in a signed role."""
        url = f"/api/v1/publishers/{quote(publisher)}/roles/{quote(role)}"
        return _submitted(self._put(url, body, {"Content-Type": "application/json"}))

    def submit_targets(
        self, targets: bytes, roles: Mapping[str, bytes], files: Mapping[str, bytes]
    ) -> Submitted:
        """Hand in new top-level targets."""
        document = {
            "targets": _text(targets),
            "roles": {name: _text(body) for name, body in roles.items()},
            "files": {path: _text(body) for path, body in files.items()},
        }
        body = json.dumps(document).encode()
        return _submitted(self._put("/api/v1/publishers", body, {"Content-Type": "application/json"}))

    def _put(self, url: str, body: bytes | Iterable[bytes], headers: dict[str, str]) -> Any:
        with (
            _reaching("operators' API", f"{str(self._operators.base_url).rstrip('/')}{url}"),
            self._operators.stream("PUT", url, content=body, headers=headers) as answer,
        ):
            raw = _whole(answer, _ANSWER_MAX_BYTES, url)
            if not answer.is_success:
                raise _refusal(answer.status_code, raw, url)
        try:
            return json.loads(raw)
        except ValueError as exc:
            raise errors.UnreachableError(f"PUT {url} was answered with no JSON") from exc


@contextmanager
def _reaching(what: str, url: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as exc:
        raise errors.UnreachableError(f"{what} at {url} did not answer: {type(exc).__name__} {exc}") from exc


def _whole(answer: httpx.Response, max_bytes: int, url: str) -> bytes:
    found = bytearray()
    for chunk in answer.iter_bytes():
        found += chunk
        if len(found) > max_bytes:
            raise errors.OversizedError(f"answer to {url} is larger than {max_bytes} bytes")
    return bytes(found)


def _refusal(status: int, raw: bytes, url: str) -> errors.DistributionError:
    try:
        error = json.loads(raw)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        code, message = "", f"PUT {url} was answered with {status}"
    if status >= _SERVER_ERROR and code not in _CODES:
        return errors.UnreachableError(message)
    return _CODES.get(code, errors.CallerError)(message)


def _submitted(found: Any) -> Submitted:
    return Submitted(_field(found, "snapshot_version", int), _field(found, "timestamp_version", int))


def _field(found: Any, name: str, kind: type) -> Any:
    value = found.get(name) if isinstance(found, dict) else None
    if type(value) is not kind:
        raise errors.UnreachableError(f"answer has {value!r} as {name}, expected a {kind.__name__}")
    return value


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode()
