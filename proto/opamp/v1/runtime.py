"""Refuses the pure-python protobuf runtime: it is tens of times slower, which only load would show."""

from google.protobuf.internal import api_implementation

REQUIRED = "upb"


class UnsuitableRuntimeError(RuntimeError):
    """The protobuf runtime of this interpreter is not the compiled one."""


def require_compiled_runtime(runtime: str | None = None) -> None:
    """Check the protobuf runtime; programs call this before they serve or connect.

    Args:
        runtime: its name; by default what this process has loaded.

    Raises:
        UnsuitableRuntimeError: it is not the compiled one.
    """
    found = api_implementation.Type() if runtime is None else runtime
    if found != REQUIRED:
        raise UnsuitableRuntimeError(
            f"protobuf runtime is {found!r}, expected {REQUIRED!r}; unset "
            "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION or install a wheel of protobuf for this platform"
        )
