"""Generated files are what the generator makes of the definitions, no more and no less."""

from pathlib import Path

from tests.house.protos import SOURCE, definitions, generate


def generated(folder: Path) -> dict[str, bytes]:
    """Return the generated files under a folder by their relative names."""
    paths = sorted([*folder.rglob("*_pb2.py"), *folder.rglob("*_pb2.pyi")])
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_the_committed_modules_are_the_generated_ones(tmp_path: Path) -> None:
    """Generating opamp.v1 anew gives the committed modules and stubs, byte for byte."""
    generate(tmp_path)
    fresh, committed = generated(tmp_path), generated(SOURCE)
    assert sorted(committed) == sorted(fresh)
    assert [name for name in fresh if committed[name] != fresh[name]] == []


def test_every_definition_has_its_module() -> None:
    """Each .proto file has a generated module and a stub beside it."""
    wanted = {
        path.with_name(f"{path.stem}_pb2{suffix}").as_posix()
        for path in definitions()
        for suffix in (".py", ".pyi")
    }
    assert set(generated(SOURCE)) == wanted
    assert wanted
