"""The demonstration's switches when the emulator is not there any more."""

from __future__ import annotations

import pytest

from workbench.cli.demo import Troubles
from workbench.errors import WorkbenchError
from workbench.sandbox import FaultSwitches, Sandbox


async def test_a_dead_emulator_is_a_sentence_that_does_not_end_the_application() -> None:
    sandbox = Sandbox()
    sandbox.environment = {"SF_LOGIN_URL": "http://127.0.0.1:1"}
    troubles = Troubles(FaultSwitches(sandbox))
    with pytest.raises(WorkbenchError, match="does not answer"):
        await troubles.faults()
    with pytest.raises(WorkbenchError, match="does not answer"):
        await troubles.switch("rows are locked", True)
