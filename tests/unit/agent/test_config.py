"""Covers distribution/agent/config.py: the host's word, and every way to misspell it."""

import re
from pathlib import Path

import pytest

from distribution.agent.config import load, parse
from distribution.domain.package import PackageType
from distribution.errors import SettingsError

HOST = """
[program]
package = "collector"
command = ["{program}", "--config", "x"]

[packages.collector]
target = "acme/collector/{version}/linux-amd64/collector"
"""
ADDON = '[packages.geoip]\ntype = "addon"\ntarget = "acme/geoip/{version}/any/geoip.db"\n'


def test_little_is_enough() -> None:
    """Program and target are all that a host must say; the rest has defaults."""
    config = parse(HOST)
    assert config.connection.transport == "ws"
    assert config.platform == "linux-amd64"
    assert config.packages["collector"].guard == "guard/acme/guard.json"
    assert config.packages["collector"].type is PackageType.TOP_LEVEL
    assert config.health.url is None
    assert config.trial.seconds == 10


def test_a_folder_without_a_file_is_named(tmp_path: Path) -> None:
    """A missing or unreadable file is named by its path."""
    with pytest.raises(SettingsError, match=re.escape(str(tmp_path / "agent.toml"))):
        load(tmp_path)
    (tmp_path / "agent.toml").write_text(HOST)
    assert load(tmp_path) == parse(HOST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("program", r"agent\.toml is not TOML"),
        ("", r"\[top level\] lacks 'program'"),
        ("program = 1\n[packages]", r"\[top level\] program is 1, expected dict"),
        (
            "packages = {collector = 1}\n" + HOST.split("[packages", maxsplit=1)[0],
            r"\[packages\.collector\] is 1, expected a table",
        ),
        (HOST + "[trail]\nseconds = 1", r"\[top level\] has no setting 'trail'; did you mean 'trial'"),
        (HOST + "[trial]\nsecond = 1", r"\[trial\] has no setting 'second'; did you mean 'seconds'"),
        (HOST + "[trial]\nseconds = -1", r"\[trial\] seconds is -1\.0, expected 0 to 86400"),
        (HOST + "[trial]\nseconds = true", r"\[trial\] seconds is True, expected int or float"),
        (HOST + '[agent]\ntransport = "udp"', r"transport is 'udp', expected 'ws' or 'http'"),
        (HOST + '[health]\ncheck = "http"', r"check is 'http' and url is None"),
        (HOST + '[health]\nurl = "http://localhost/"', r"check is 'process' and url is"),
        (HOST + '[health]\ncheck = "tcp"', r"check is 'tcp', expected 'http' or 'process'"),
        (HOST + '[health]\ncheck = "http"\nurl = "file:///etc"', r"url is 'file:///etc', expected http://"),
        (HOST.replace('"{program}", ', ""), r"has no '\{program\}' in it"),
        (
            HOST.replace('["{program}", "--config", "x"]', "[]"),
            r"command is \[\], expected a list of strings",
        ),
        (
            HOST.replace('["{program}", "--config", "x"]', "[1]"),
            r"command is \[1\], expected a list of strings",
        ),
        (
            HOST.replace('package = "collector"', 'package = "other"'),
            r"package is 'other', but \[packages\] has coll",
        ),
        (HOST + "[program.environment]\nA = 1", r"\[program\.environment\] A is 1, expected a string"),
        (HOST + 'type = "kernel"', r"type is 'kernel', expected 'top_level' or 'addon'"),
        (HOST + 'type = "addon"', r"\[packages\.collector\] is 'addon' and the program is 'collector'"),
        (HOST + ADDON.replace('type = "addon"\n', ""), r"\[packages\.geoip\] is 'top_level' and the program"),
        (HOST.replace("{version}", "1.0.0"), r"does not have '\{version\}' as its third segment"),
        (HOST.replace("/{version}/", "/{version}{version}/"), r"as its third segment, once"),
        (HOST.replace("acme/collector/{version}", "{version}/acme/collector"), r"as its third segment"),
        (HOST.replace("linux-amd64/", "linux-amd64/../"), r"target path .* has 6 segments, expected 5"),
        (HOST.replace("acme/", "../"), r"name '\.\.' is not lower-case"),
    ],
)
def test_a_wrong_file_is_refused_by_name(text: str, message: str) -> None:
    """What is unknown, missing, of the wrong kind or out of range is named, with both values."""
    with pytest.raises(SettingsError, match=message):
        parse(text)
