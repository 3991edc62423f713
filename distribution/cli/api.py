"""The operators' API as commands call it: JSON there and back, refusals as errors in the server's words."""

from collections.abc import Mapping
from typing import Any

import httpx

from distribution import errors

Document = Mapping[str, Any]

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

    def delete(self, path: str) -> Document:
        """DELETE what is at a path."""
        return self._call("DELETE", path)

    def probe(self, path: str) -> Document:
        """GET a document from outside the API, whatever its status."""
        return self._document(self._send("GET", path))

    def _call(self, method: str, path: str, **rest: Any) -> Document:
        answer = self._send(method, f"/api/v1{path}", **rest)
        found = self._document(answer)
        if answer.is_success:
            return found
        error = found.get("error", {})
        kind = _CODES.get(error.get("code", ""), errors.CallerError)
        raise kind(error.get("message", f"{method} {path} was answered with {answer.status_code}"))

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
