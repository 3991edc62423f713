"""The operators' API as commands call it: JSON there and back, refusals as errors in the server's words."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from distribution import errors

Document = Mapping[str, Any]

_CONNECT_SECONDS = 10.0
_SILENT_SECONDS = 60.0  # a stream that has nothing to show says so more often

_CODES: Mapping[str, type[errors.DistributionError]] = {
    "conflict": errors.ConflictError,
    "forbidden": errors.ForbiddenError,
    "unauthenticated": errors.UnauthenticatedError,
    "unknown": errors.UnknownError,
    "unverified": errors.UnverifiedError,
}


class Api:
    """One server's API. `client` has its address, trust and token."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def get(self, path: str, **query: Any) -> Document:
        """GET a document; None and empty lists are left out of the query."""
        return self._call(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    def post(self, path: str, body: Document) -> Document:
        """POST a document."""
        return self._call("POST", path, json=body)

    def put(self, path: str, body: Document) -> Document:
        """PUT a document."""
        return self._call("PUT", path, json=body)

    def patch(self, path: str, body: Document) -> Document:
        """PATCH a document."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str, **query: Any) -> Document:
        """DELETE what is at a path; None is left out of the query."""
        return self._call(
            "DELETE", path, params={name: value for name, value in query.items() if value is not None}
        )

    def probe(self, path: str) -> Document:
        """GET a document from outside the API, whatever its status."""
        return self._document(self._send("GET", path))

    def lines(self, path: str, **query: Any) -> Iterator[Document]:
        """GET a stream of JSON lines, and yield each as it comes, until the server ends it."""
        patient = httpx.Timeout(_CONNECT_SECONDS, read=_SILENT_SECONDS)
        try:
            with self._client.stream("GET", f"/api/v1{path}", params=query, timeout=patient) as answer:
                if not answer.is_success:
                    answer.read()
                    self._require(answer, f"GET {path}")
                for line in answer.iter_lines():
                    if line.strip():
                        yield json.loads(line)
        except (httpx.HTTPError, ValueError) as exc:
            raise errors.UnreachableError(
                f"server at {self._client.base_url} stopped: {str(exc) or type(exc).__name__}"
            ) from exc

    def _call(self, method: str, path: str, **rest: Any) -> Document:
        return self._require(self._send(method, f"/api/v1{path}", **rest), f"{method} {path}")

    def _require(self, answer: httpx.Response, what: str) -> Document:
        """Return what was answered. Raises the server's refusal as our error."""
        found = self._document(answer)
        if answer.is_success:
            return found
        error = found.get("error", {})
        kind = _CODES.get(error.get("code", ""), errors.CallerError)
        raise kind(error.get("message", f"{what} was answered with {answer.status_code}"))

    def _send(self, method: str, path: str, **rest: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **rest)
        except httpx.HTTPError as exc:
            where = f"server at {self._client.base_url}"
            raise errors.UnreachableError(
                f"{where} did not answer: {str(exc) or type(exc).__name__}"
            ) from exc

    def _document(self, answer: httpx.Response) -> Document:
        try:
            found = answer.json()
        except ValueError as exc:
            raise errors.UnreachableError(
                f"{answer.request.url} was answered with {answer.status_code} and no JSON"
            ) from exc
        if not isinstance(found, dict):
            raise errors.UnreachableError(f"{answer.request.url} was answered with no JSON object")
        return found
