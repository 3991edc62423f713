"""The protobuf runtime that this program insists on, and that this interpreter has."""

import pytest
from opamp.v1.runtime import UnsuitableRuntimeError, require_compiled_runtime


def test_this_interpreter_has_the_compiled_runtime() -> None:
    """What is installed passes the check that start-up makes."""
    require_compiled_runtime()


@pytest.mark.parametrize("found", ["python", "cpp"])
def test_other_runtimes_are_refused(found: str) -> None:
    """The error names both, and what to do."""
    with pytest.raises(UnsuitableRuntimeError, match=f"'{found}', expected 'upb'; unset"):
        require_compiled_runtime(found)
