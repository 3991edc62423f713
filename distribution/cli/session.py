"""How a command finds its server: options, then environment, then a profile folder; and the calls it makes.

TLS is verified with the CA of the operator's own trust file and with nothing else: no system store, no proxy
of the environment, no redirect. There is no switch to turn that off.

A profile folder holds `operator.toml` with `trust` and `token_file` (paths, relative to the folder) and, if
the address is another than the trust file's, `server`.
"""

import ssl
import tomllib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from distribution.cli.api import Api
from distribution.cli.token_file import read_token
from distribution.errors import InvalidError
from distribution.pipeline.ports import PipelineServer
from distribution.pipeline.server import HttpServer
from keys.trust import Trust

_WAIT_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_PROFILE_FIELDS = {"server", "trust", "token_file"}


@dataclass(frozen=True, slots=True)
class Options:
    """What was given on the command line or in the environment; None where nothing was."""

    server: str | None
    trust: Path | None
    token_file: Path | None
    profile: Path | None


class Session:
    """One command's view of its server. Nothing is read or connected before it is needed."""

    def __init__(self, options: Options) -> None:
        self._options = options

    @cached_property
    def trust_file(self) -> Path:
        """Where the operator's own trust file is. Raises InvalidError if nothing says it."""
        return self._place("trust", self._options.trust, "--trust")

    @cached_property
    def trust(self) -> Trust:
        """The operator's own trust, with the address of `--server` if one was given.

        Raises:
            InvalidError: there is no such file. TrustError: it is not a trust file.
        """
        trust = Trust.from_toml(_read(self.trust_file))
        server = self._options.server or self._profile.get("server")
        return replace(trust, operators_url=str(server).rstrip("/")) if server else trust

    @cached_property
    def api(self) -> Api:
        """The operators' API, with the operator's token."""
        context = ssl.create_default_context(cadata=self.trust.ca_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        client = httpx.Client(
            base_url=self.trust.operators_url,
            verify=context,
            timeout=httpx.Timeout(_WAIT_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=False,
            headers={"Authorization": f"Bearer {self._token}"},
        )
        return Api(client)

    @cached_property
    def pipeline(self) -> PipelineServer:
        """The server as pipelines see it: the operators' API and the downloads' listener."""
        return HttpServer(self.trust, self._token)

    @property
    def _token(self) -> str:
        return read_token(self._place("token_file", self._options.token_file, "--token-file"))

    @cached_property
    def _profile(self) -> dict[str, Any]:
        folder = self._options.profile
        if folder is None:
            return {}
        path = folder / "operator.toml"
        try:
            found = tomllib.loads(_read(path))
        except tomllib.TOMLDecodeError as exc:
            raise InvalidError(f"profile {str(path)!r} is not TOML: {exc}") from exc
        for name, value in found.items():
            if name not in _PROFILE_FIELDS or not isinstance(value, str):
                raise InvalidError(
                    f"profile {str(path)!r} has {name!r}, known texts are {sorted(_PROFILE_FIELDS)}"
                )
        return found

    def _place(self, name: str, given: Path | None, option: str) -> Path:
        if given is not None:
            return given
        if name in self._profile and self._options.profile is not None:
            return self._options.profile / str(self._profile[name])
        raise InvalidError(f"nothing says which file to take: give {option}, its variable, or --profile")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not text"
        raise InvalidError(f"file {str(path)!r} cannot be read: {reason}") from exc
