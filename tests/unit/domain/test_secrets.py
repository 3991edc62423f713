"""What looks like a secret is taken out, by its name or its looks; references and plain settings stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.domain.config_tree import Tree, scalars
from distribution.domain.secrets import (
    REDACTED,
    TEXT_MAX_CHARS,
    first_secret,
    hidden,
    is_reference,
    names_a_secret,
    redacted,
    redacted_text,
)

SECRET = "hunter2hunter2"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n-----END EC PRIVATE KEY-----\n"
NAMES = st.sampled_from(
    [
        *("password", "Password", "db_passwd", "token", "accessToken", "secret", "client_secret", "api_key"),
        *(
            "apiKey",
            "x-api-key",
            "Authorization",
            "private_key",
            "credentials",
            "bearer_token",
            "key",
            "cookie",
        ),
        *(
            "headers",
            "signing_key",
            "dd.api.key",
            "connection-string-secret",
            "pwd",
            "psk",
            "AWS_SECRET_ACCESS",
        ),
    ]
)
PLAIN = st.text("abcdefgh /.", max_size=8)
AROUND: st.SearchStrategy[Tree] = st.recursive(
    st.one_of(PLAIN, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("mnop", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("password", True),
        ("apiKey", True),
        ("X-Api-Key", True),
        ("headers", True),
        ("key", True),
        ("key_file", False),
        ("keyFile", False),
        ("access_key_id", False),
        ("token_url", False),
        ("monkey", False),
        ("keyboard", False),
        ("endpoint", False),
        ("", False),
        ("...", False),
    ],
)
def test_names(name: str, expected: object) -> None:
    """A secret is named by a word of its name, whatever the spelling; files and ids are not secrets."""
    assert names_a_secret(name) is expected


@pytest.mark.parametrize(
    "value",
    [
        PEM,
        f"https://ann:{SECRET}@host:4317/x",
        f"https://{SECRET}@host",
        f"postgres://u:p@{SECRET}@host/db",
        f"Authorization: Bearer {SECRET}",
        f"x basic {SECRET}",
        f"--password={SECRET}",
        f'{{"token": "{SECRET}"}}',
        f"host=a password='{SECRET} {SECRET}'",
        f"https://host/path?api_key={SECRET}&x=1",
        f"eyJhbGciOiJIUzI1NiJ9.eyJ{SECRET}.x",
        f"ghp_{SECRET}{SECRET}",
        "AKIAHUNTER2HUNTER222",
    ],
)
def test_looks(value: str) -> None:
    """What looks like a secret goes, whatever it stands under."""
    found = str(redacted({"note": [value]}))
    assert REDACTED in found
    assert SECRET not in found
    assert "AKIA" not in found


@pytest.mark.parametrize(
    "value",
    [
        *("${env:TOKEN}", "Bearer ${env:TOKEN}", "${file:secrets/token}", "${qm:value.key}", "", True, None),
    ],
)
def test_references_stay(value: Tree) -> None:
    """A text that says where a secret is, holds none."""
    tree: Tree = {"password": value}
    assert redacted(tree) == hidden(tree) == tree
    assert first_secret(tree) is None


@pytest.mark.parametrize("value", [f"${{env:TOKEN:-{SECRET}}}", f"${{env:A}}{SECRET}", 12345, 1.5])
def test_what_is_no_reference_goes(value: Tree) -> None:
    """A default is no reference, nor is what stands beside one; numbers may be secrets too."""
    assert redacted({"password": value}) == {"password": REDACTED}
    assert first_secret({"password": value}) == ("password",)


def test_plain_settings_stay() -> None:
    """What people need to see of a configuration is left as it is."""
    tree: Tree = {
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}}}},
        "processors": {
            "attributes": {"actions": [{"key": "k8s.pod.name", "action": "upsert", "value": "x"}]}
        },
        "exporters": {
            "otlp": {"endpoint": "https://host:4317", "tls": {"key_file": "a.pem", "insecure": False}}
        },
        "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp"]}}},
    }
    assert redacted(tree) == tree
    assert first_secret(tree) is None


def test_a_name_beside_its_value() -> None:
    """Pairs of name and value are read as such: environment of pods, actions of processors, headers."""
    tree: Tree = {
        "env": [{"name": "API_TOKEN", "value": SECRET}, {"name": "HOME", "value": "there"}],
        "actions": [{"action": "insert", "key": "api_key", "value": SECRET}],
    }
    found = redacted(tree)
    assert SECRET not in str(found)
    assert "there" in str(found)
    assert first_secret(tree) == ("env", "[0]", "value")


def test_names_of_pairs_stay() -> None:
    """Collectors write headers as a list of pairs: the name of one is no secret, its value is."""
    tree: Tree = {"headers": [{"name": "authorization", "value": SECRET}]}
    assert redacted(tree) == hidden(tree) == {"headers": [{"name": "authorization", "value": REDACTED}]}


def test_what_is_plain_enough_to_ask_for_a_flag() -> None:
    """A bare key or a tenant in a header is not asked about; what is told is the place, never the value."""
    assert first_secret({"headers": {"X-Scope-OrgID": "tenant"}, "key": "k8s.pod"}) is None
    assert first_secret({"a": [{"headers": {"Authorization": SECRET}}]}) == (
        "a",
        "[0]",
        "headers",
        "Authorization",
    )


def test_the_shape_of_a_secret_configuration() -> None:
    """Of what is declared secret, keys, truths and references are left."""
    assert hidden({"a": ["x", 1, True, None, "${env:X}"], "b": {"c": "y"}}) == {
        "a": [REDACTED, REDACTED, True, None, "${env:X}"],
        "b": {"c": REDACTED},
    }


def test_a_long_text_is_cut() -> None:
    """Nobody reads more, and patterns are not tried on more at once."""
    found = redacted({"note": "x" * (TEXT_MAX_CHARS + 5)})
    assert isinstance(found, dict)
    assert str(found["note"]).endswith("(5 characters are left out)")


@pytest.mark.parametrize(
    "text",
    [
        f"password = {SECRET}\nhost = a",
        f'  "api_key": "{SECRET}",\n',
        f"password: |\n  {SECRET}\n\n  {SECRET}\nhost: a",
        f"- token: {SECRET}",
        f"export DB_PASSWORD={SECRET}",
        f"a [\nurl = https://x:{SECRET}@host",
        f"text before {PEM} after",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"token:\n    {SECRET}\n  {SECRET}\n",
    ],
)
def test_texts_that_are_no_tree(text: str) -> None:
    """Lines are judged by name and looks; what is indented under a secret name goes as well."""
    found = redacted_text(text)
    assert SECRET not in found
    assert REDACTED in found


def test_a_text_keeps_its_plain_lines() -> None:
    """Lines without a secret stay as they are."""
    text = "[[outputs.http]]\n  url = 'https://host/x'\n  timeout = 5s\n\n# password is elsewhere\n"
    assert redacted_text(text) == text.removesuffix("\n")


@given(AROUND, NAMES, st.integers(0, 3))
def test_no_secret_under_a_secret_name_is_left(around: Tree, name: str, depth: int) -> None:
    """However deep below such a name, in whatever company, no value is left."""
    value: Tree = SECRET
    for level in range(depth):
        value = [value] if level % 2 else {"x": value}
    found = redacted({"around": around, "here": {name: value, "beside": around}})
    assert SECRET not in str(found)


@given(AROUND)
def test_redacting_twice_is_redacting_once(tree: Tree) -> None:
    """What is safe stays as it is, and the shape is kept."""
    once = redacted({"token": tree, "x": tree})
    assert redacted(once) == once
    assert [place for place, _ in scalars(once)] == [
        place for place, _ in scalars({"token": tree, "x": tree})
    ]


@given(st.text(max_size=300))
def test_any_text_is_treated(text: str) -> None:
    """No text breaks it."""
    assert isinstance(redacted_text(text), str)
    assert isinstance(is_reference(text), bool)


@pytest.mark.parametrize(
    "text",
    ["://" * 2_000_000, "password" * 500_000, "eyJ" * 1_000_000, "-----BEGIN " * 500_000, "@:" * 2_000_000],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    """Megabytes made to be tried again and again are done with at once."""
    assert len(str(redacted({"x": text}))) < 2 * TEXT_MAX_CHARS
    assert len(redacted_text(text)) < 2 * TEXT_MAX_CHARS
