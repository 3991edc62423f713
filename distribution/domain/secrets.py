"""What looks like a secret in a configuration, and what it is replaced by before it is kept or shown.

Rules:

1. A value is a secret by the name it stands under, at any depth (`headers`, `password`, ...), or by what it
   looks like: a private key in PEM, a bearer credential, a token of a known form, who is named in a URL.
2. References stay (`${env:NAME}`): they say where a secret is. A default in one does not.
3. Names that end in `_file`, `_id`, `_url` and the like stay; so do `true`, `false` and nothing.
4. In doubt it is a secret: what is kept is for people to read, not to be used. A very long text is cut.

What is known to be one, because an operator said so of it: `domain.known_secrets`.

A text that is neither YAML nor JSON is treated line by line, by the same names and looks.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from distribution.domain.config_tree import Place, Scalar, Tree, scalars

REDACTED: Final = "[REDACTED]"
"""As collectors write it themselves."""

TEXT_MAX_CHARS: Final = 8_192
"""Of one scalar or line that is kept; patterns are never tried on more at once."""

_STRONG: Final = (
    *("passw", "passphrase", "secret", "token", "credential", "authoriz", "bearer", "apikey", "api_key"),
    *("private_key", "privatekey", "access_key", "accesskey", "signature", "connectionstring"),
)
"""Anywhere in a name."""

_WEAK: Final = frozenset(
    {"key", "keys", "pwd", "pass", "pin", "psk", "jwt", "sas", "sig", "dsn", "cookie", "cookies", "creds"}
    | {"header", "headers", "userinfo", "salt", "nonce", "otp", "pem"}
)
"""A word of a name by itself."""

_PLAINLY: Final = frozenset({"pwd", "pass", "pin", "psk", "jwt", "dsn", "cookie", "cookies", "creds"})
"""Those of them that hardly ever name anything else."""

_HARMLESS: Final = frozenset(
    {"file", "files", "path", "paths", "dir", "id", "ids", "name", "names", "url", "type", "types", "ttl"}
    | {"size", "interval", "timeout", "enabled", "prefix", "format", "algorithm", "count", "limit", "scopes"}
    | {"authenticator", "action", "scheme"}
)
"""The last word of a name that is harmless whatever comes before."""

_PARTNERS: Final = ("key", "name", "header")
"""Whose text names the `value` beside it."""

Names: TypeAlias = Callable[[str], bool]
"""Whether what stands under a name is a secret."""

_TOGETHER = re.compile(r"\S+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[a-z0-9]+")
_REFERENCE = re.compile(r"\$\{(?:[a-z]+:)?[A-Za-z0-9_./-]+\}")
_SCHEME = re.compile(r"(?i)(?:bearer|basic|token|apikey|splunk|digest)?")
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.DOTALL
)
_SENT = re.compile(r"(?i)\b(bearer|basic|token|apikey|splunk|digest)(\s+)([A-Za-z0-9._~+/=:-]{6,})")
_KNOWN = re.compile(
    r"\beyJ[A-Za-z0-9_-]{8}[A-Za-z0-9_.-]*"  # RFC 7519; all that may follow, so it never looks back
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bglpat-[A-Za-z0-9_-]{16,}|\bAIza[0-9A-Za-z_-]{30,}"
    r"|\bdt0[a-z][0-9]{2}\.[A-Z0-9]{8,}[.A-Z0-9]*|\bNRAK-[A-Z0-9]{10,}|\bsk-[A-Za-z0-9_-]{16,}"
)
_SAID = re.compile(
    r"(?i)((?:passw|passphrase|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|signature|"
    r"\bsig\b|\bpwd\b)[\w.-]{0,40}[\"']?\s{0,8}[=:]\s{0,8})(\"[^\"]*\"?|'[^']*'?|[^\s&;,]+)"
)
_LINE = re.compile(
    r"(?P<before>\s*(?:- |export )?[\"']?(?P<name>[\w.\-/]{1,100})[\"']?\s*[:=]\s*)(?P<rest>.*)"
)


def redacted(tree: Tree) -> Tree:
    """Return the tree with every secret replaced."""
    return _redacted(tree, names_a_secret, hidden=False)


def hidden(tree: Tree) -> Tree:
    """Return the shape of a tree whose author says that it carries a secret: references and truths stay."""
    return _redacted(tree, names_a_secret, hidden=True)


def redacted_text(text: str) -> str:
    """Return a text that could not be read as a tree, with every secret replaced, line by line."""
    without_keys = _PEM.sub(REDACTED, text)
    return "\n".join(_lines(without_keys.splitlines()))


def spoken(words: str) -> str:
    """Return an agent's words on an error without what looks like a secret: errors quote configurations."""
    return _cleaned(words) if words else words


def first_secret(tree: Tree) -> Place | None:
    """Return where something stands that is plainly a secret, by its name or its looks, and no reference.

    Names such as `key` and `headers` are not enough here: to ask about each of them helps nobody.
    """
    clean = dict(scalars(_redacted(tree, _names_plainly, hidden=False)))
    for place, value in scalars(tree):
        if clean[place] != value and not (isinstance(value, str) and len(value) > TEXT_MAX_CHARS):
            return place
    return None


def names_a_secret(name: str) -> bool:
    """Whether what stands under this name is a secret."""
    return _names(name, _WEAK)


def _names_plainly(name: str) -> bool:
    return _names(name, _PLAINLY)


def _names(name: str, weak: frozenset[str]) -> bool:
    words = _WORD.findall(_CAMEL.sub("_", name).lower())
    if not words or words[-1] in _HARMLESS:
        return False
    whole = "_".join(words)
    return any(strong in whole for strong in _STRONG) or not weak.isdisjoint(words)


def _redacted(tree: Tree, names: Names, *, hidden: bool) -> Tree:
    if isinstance(tree, dict):
        paired = any(isinstance(text := tree.get(name), str) and names(text) for name in _PARTNERS)
        return {
            key: _redacted(
                value,
                names,
                hidden=(hidden and not _is_name(key, tree))
                or (paired and key == "value")
                or (names(key) and not _is_attribute(key, tree)),
            )
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_redacted(one, names, hidden=hidden) for one in tree]
    return _hidden(tree) if hidden else _cleaned(tree) if isinstance(tree, str) else tree


def _is_name(key: str, siblings: dict[str, Tree]) -> bool:
    """Whether a key holds the name of a pair, as collectors write the headers of their exporters."""
    return key == "name" and siblings.keys() == {"name", "value"}


def _is_attribute(key: str, siblings: dict[str, Tree]) -> bool:
    """Whether a key is what processors call an attribute's name."""
    return key == "key" and "action" in siblings


def _hidden(value: Scalar) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    return value if isinstance(value, str) and is_reference(value) else REDACTED


def is_reference(text: str) -> bool:
    """Whether a text says where a secret is and holds none, such as `Bearer ${env:TOKEN}`; or is empty."""
    return len(text) <= TEXT_MAX_CHARS and _SCHEME.fullmatch(_REFERENCE.sub("", text).strip()) is not None


def _cleaned(text: str) -> str:
    if len(text) > TEXT_MAX_CHARS:
        text = f"{text[:TEXT_MAX_CHARS]}… ({len(text) - TEXT_MAX_CHARS} characters are left out)"
    text = _PEM.sub(REDACTED, text)
    text = _TOGETHER.sub(_without_user, text) if "://" in text else text
    text = _SENT.sub(rf"\1\2{REDACTED}", text)
    text = _KNOWN.sub(REDACTED, text)
    return _SAID.sub(lambda found: found[0] if is_reference(found[2]) else f"{found[1]}{REDACTED}", text)


def _without_user(found: re.Match[str]) -> str:
    """Return a word without who is named in a URL (RFC 3986 3.2.1), up to its last `@`."""
    word = found[0]
    begin, end = word.find("://"), word.rfind("@")
    return f"{word[: begin + 3]}{REDACTED}{word[end:]}" if 0 <= begin < end else word


def _lines(lines: list[str]) -> Iterator[str]:
    deeper_than: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if deeper_than is not None and (not line.strip() or indent > deeper_than):
            if line.strip():
                yield f"{line[:indent]}{REDACTED}"
            continue
        deeper_than = None
        found = _LINE.fullmatch(line) if len(line) <= TEXT_MAX_CHARS else None
        if found is None or not names_a_secret(found["name"]):
            yield _cleaned(line)
            continue
        deeper_than = indent
        yield found["before"] + ("" if not found["rest"].strip() else REDACTED)
