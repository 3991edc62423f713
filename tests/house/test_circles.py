"""No circle of imports, not even for types."""

from collections.abc import Mapping

from tests.house.tree import OURS, imports, product


def graph() -> dict[str, set[str]]:
    """Return which module of ours imports which, lazy and type-only imports included."""
    names = frozenset(module.name for module in product())
    return {
        module.name: {
            target
            for _, target in imports(module, names)
            if target.partition(".")[0] in OURS and target in names and target != module.name
        }
        for module in product()
    }


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the modules that lie on a ring of imports: what is left when neither leaf nor root can go."""
    left = {name: set(targets) & set(edges) for name, targets in edges.items()}
    while leaves := {name for name, targets in left.items() if not targets & set(left)}:
        left = {name: targets for name, targets in left.items() if name not in leaves}
    while roots := set(left) - {target for targets in left.values() for target in targets}:
        left = {name: targets for name, targets in left.items() if name not in roots}
    return [sorted(left)] if left else []


def test_no_module_imports_itself_by_a_detour() -> None:
    """The graph of all imports can be taken apart leaf by leaf."""
    assert circles(graph()) == []


def test_a_circle_is_found() -> None:
    """Three modules in a ring are named; the one that hangs on them, and the one they hang on, are not."""
    edges = {"a": {"b", "leaf"}, "b": {"c"}, "c": {"a"}, "root": {"a"}, "leaf": set[str]()}
    assert circles(edges) == [["a", "b", "c"]]
