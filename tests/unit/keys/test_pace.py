"""keys/pace.py."""

import pytest

from keys.errors import RefusedError
from keys.pace import RENEWALS_MAX, require_seldom
from tests.fakes.certificates import agent


def test_an_agent_may_ask_so_often() -> None:
    """Up to the bound it is not refused; at the bound it is, with both numbers named."""
    require_seldom(RENEWALS_MAX - 1, agent())
    with pytest.raises(
        RefusedError, match=f"was given {RENEWALS_MAX} certificates .* at most {RENEWALS_MAX}"
    ):
        require_seldom(RENEWALS_MAX, agent())
