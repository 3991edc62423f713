"""Settings: what is accepted, what is refused by name, and who wins."""

from pathlib import Path

import pytest

from distribution.errors import SettingsError
from distribution.settings import SECTIONS, Settings, every_setting, load

MINIMAL = """
[server]
trust_domain = "fleet.example"
[agents]
url = "wss://qm.example:4320/v1/opamp"
[downloads]
url = "https://qm.example:4321/"
"""


def read(folder: Path, text: str = MINIMAL, environ: dict[str, str] | None = None) -> Settings:
    file = folder / "quartermaster.toml"
    file.write_text(text)
    return load(file, environ or {})


def test_defaults_fill_what_the_file_leaves_out(tmp_path: Path) -> None:
    """Three settings are enough; ports and the loopback default are the documented ones."""
    settings = read(tmp_path)
    assert (settings.agents.port, settings.downloads.port, settings.operators.port) == (4320, 4321, 4322)
    assert settings.operators.host == "127.0.0.1"
    assert settings.agents.path == "/v1/opamp"
    assert settings.downloads.url == "https://qm.example:4321"


def test_relative_places_start_at_the_settings_file(tmp_path: Path) -> None:
    """Database, objects and keys lie beside the file that names them, wherever the server was started."""
    settings = read(tmp_path)
    assert settings.folder == tmp_path
    assert settings.database.url == f"sqlite:///{tmp_path}/quartermaster.db"
    assert settings.objects.url == f"file:{tmp_path}/objects"
    assert settings.keys.snapshot == (tmp_path / "keys/snapshot.pem").as_uri()
    assert settings.keys.ca_certificate == tmp_path / "keys/ca-root.pem"


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable named after section and key overrides what the file says, whole numbers included."""
    settings = read(tmp_path, environ={"QUARTERMASTER_AGENTS_PORT": "0", "PATH": "/bin"})
    assert settings.agents.port == 0


def test_commands_variables_are_not_settings(tmp_path: Path) -> None:
    """The operators' commands may share an environment with the server."""
    assert read(tmp_path, environ={"QUARTERMASTER_URL": "https://x"}) == read(tmp_path)


@pytest.mark.parametrize(
    ("addition", "named", "nearest"),
    [
        ("[agent]\nport = 1\n", "section [agent]", "agents"),
        ("[limits]\nupload_max_byte = 1\n", "setting limits.upload_max_byte", "limits.upload_max_bytes"),
        ("[keys]\ntargets = 'k'\n", "setting keys.targets", "keys."),
    ],
)
def test_unknown_names_in_the_file_are_refused(
    tmp_path: Path, addition: str, named: str, nearest: str
) -> None:
    """A misspelt section or key is named, with the nearest known one."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, MINIMAL + addition)
    assert named in str(caught.value)
    assert f"nearest known one is {nearest}" in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("QUARTERMASTER_AGENT_PORT", "QUARTERMASTER_AGENTS_PORT"),
        ("QUARTERMASTER_LIMITS_UPLOADMAXBYTES", "QUARTERMASTER_LIMITS_UPLOAD_MAX_BYTES"),
    ],
)
def test_unknown_variables_are_refused(tmp_path: Path, variable: str, nearest: str) -> None:
    """A misspelt variable is not silently without effect."""
    with pytest.raises(SettingsError, match=f"{variable} is unknown, .* {nearest}"):
        read(tmp_path, environ={variable: "1"})


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("QUARTERMASTER_AGENTS_PORT", "65536", "is not between 0 and 65535"),
        ("QUARTERMASTER_AGENTS_PORT", "http", "is not a whole number"),
        ("QUARTERMASTER_AGENTS_HOST", " ", "is not a text"),
        ("QUARTERMASTER_AGENTS_PATH", "v1", "is not a path such as /v1/opamp"),
        ("QUARTERMASTER_AGENTS_URL", "http://qm.example", "is not an address of the form wss://host:port"),
        ("QUARTERMASTER_DOWNLOADS_URL", "https://", "is not an address of the form https://host:port"),
        ("QUARTERMASTER_SERVER_TRUST_DOMAIN", "Fleet", "is not lower-case letters"),
        ("QUARTERMASTER_DATABASE_URL", "mysql://x", "is neither sqlite:///file nor postgresql"),
        ("QUARTERMASTER_OBJECTS_URL", "s3://A", "is neither file:folder nor s3://bucket/prefix"),
    ],
)
def test_values_that_do_not_fit_are_refused(tmp_path: Path, variable: str, value: str, message: str) -> None:
    """A refusal names the setting and says what was expected."""
    with pytest.raises(SettingsError, match=message):
        read(tmp_path, environ={variable: value})


@pytest.mark.parametrize(
    ("text", "message"),
    [("port = 1", r"section \[port\] in .* is unknown"), ("[server", "is not TOML")],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A key outside every section, or no TOML at all, is refused."""
    with pytest.raises(SettingsError, match=message):
        read(tmp_path, text)


def test_a_section_must_be_a_table(tmp_path: Path) -> None:
    """`agents = 1` is not a section."""
    with pytest.raises(SettingsError, match=r"agents in .* is not a section"):
        read(tmp_path, "agents = 1")


def test_a_missing_file_and_a_missing_value_are_named(tmp_path: Path) -> None:
    """What has no default must be given; a file that is not there says so."""
    with pytest.raises(SettingsError, match=r"nothing\.toml cannot be read"):
        load(tmp_path / "nothing.toml", {})
    with pytest.raises(SettingsError, match=r"server.trust_domain is missing"):
        read(tmp_path, "")


def test_a_number_must_not_be_a_truth_value(tmp_path: Path) -> None:
    """TOML's true is no port."""
    with pytest.raises(SettingsError, match="is not a whole number"):
        read(tmp_path, MINIMAL + "[limits]\nuploads_at_once = true\n")


def test_the_database_password_is_never_shown(tmp_path: Path) -> None:
    """Neither the settings' text nor a refusal repeats a database address."""
    url = "postgresql+psycopg://qm:hunter2@db/qm"
    settings = read(tmp_path, environ={"QUARTERMASTER_DATABASE_URL": url})
    assert settings.database.url == url
    assert "hunter2" not in repr(settings)
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, environ={"QUARTERMASTER_DATABASE_URL": "postgres://qm:hunter2@db/qm"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("keys/a.pem", "file://{folder}/keys/a.pem"),
        ("file:keys/a.pem", "file://{folder}/keys/a.pem"),
        ("file:///srv/a.pem", "file:///srv/a.pem"),
        ("pkcs11:token=a", "pkcs11:token=a"),
    ],
)
def test_keys_are_addressed_by_uri(tmp_path: Path, given: str, expected: str) -> None:
    """Paths become file URIs; a scheme of another kind passes through to custody."""
    settings = read(tmp_path, environ={"QUARTERMASTER_KEYS_SNAPSHOT": given})
    assert settings.keys.snapshot == expected.format(folder=tmp_path)


def test_optional_values_and_other_stores_are_read(tmp_path: Path) -> None:
    """An S3 store with its own endpoint and CA is one section; left out, the optional ones are None."""
    section = '[objects]\nurl = "s3://bucket/prefix"\nendpoint = "https://s3:9000"\nca_bundle = "ca.pem"\n'
    objects = read(tmp_path, MINIMAL + section).objects
    assert (objects.url, objects.endpoint, objects.region) == ("s3://bucket/prefix", "https://s3:9000", None)
    assert objects.ca_bundle == tmp_path / "ca.pem"


def test_every_setting_is_described_and_named_once() -> None:
    """Each setting has a sentence, and no two share a variable."""
    settings = list(every_setting())
    assert all(setting.described.text.endswith(".") for setting in settings)
    assert len({setting.variable for setting in settings}) == len(settings)
    assert {setting.section for setting in settings} == set(SECTIONS)


def test_where_agents_come_to_is_as_the_protocol_has_it(tmp_path: Path) -> None:
    """Port and path of the endpoint, and the interval of heartbeats (OpAMP)."""
    settings = read(tmp_path)
    assert (settings.agents.port, settings.agents.path) == (4320, "/v1/opamp")
    assert settings.agents.heartbeat_seconds == 30


def test_the_largest_message_is_a_setting(tmp_path: Path) -> None:
    """4 MiB by default; as much as the protocol recommends, and no more, may be set."""
    assert read(tmp_path).limits.message_max_bytes == 4 << 20
    for bytes_ in (64 << 10, 64 << 20):
        chosen = read(tmp_path, f"{MINIMAL}[limits]\nmessage_max_bytes = {bytes_}\n")
        assert chosen.limits.message_max_bytes == bytes_
    with pytest.raises(SettingsError, match="message_max_bytes"):
        read(tmp_path, f"{MINIMAL}[limits]\nmessage_max_bytes = {(64 << 20) + 1}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["otelcol", "validate", "--config={file}"]', ("otelcol", "validate", "--config={file}")),
        ("\"otelcol validate '--config={file}'\"", ("otelcol", "validate", "--config={file}")),
    ],
)
def test_a_command_is_a_list_of_arguments(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    """As a list, or as one text quoted as for a shell, which the environment needs."""
    settings = read(tmp_path, f"{MINIMAL}\n[configurations]\nvalidator = {text}\n")
    assert settings.configurations.validator == expected
    assert read(tmp_path).configurations.validator is None


@pytest.mark.parametrize("text", ["[]", "5", '[""]', "[1]", '"\'"', '""'])
def test_what_is_no_command(tmp_path: Path, text: str) -> None:
    """Nothing, an empty argument and half a quotation are refused."""
    with pytest.raises(SettingsError, match=r"configurations\.validator"):
        read(tmp_path, f"{MINIMAL}\n[configurations]\nvalidator = {text}\n")
