"""The sandbox's troubles by name, for a person to switch on and off while a flow runs."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.sandbox.sandbox import Sandbox

__all__ = ["FaultSwitches"]

# Name -> the emulator's words for it.
_FAULTS = {
    "slow answers": "latency:400ms-800ms",
    "Salesforce is away": "status:503",
    "one request in ten fails": "status:500:0.1",
    "rows are locked": "lock:0.2",
    "answers are lost": "drop:0.1",
    "sessions expire": "expire,every=20",
    "daily limit reached": "limit:daily",
}


class FaultSwitches:
    """Each switch is one fault of the emulator; those that others switched on are left alone."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._ids: dict[str, int] = {}

    async def faults(self) -> Mapping[str, bool]:
        """Every switch, and whether it is on.

        Raises:
            SandboxError: the emulator does not answer.
        """
        answer = await self._sandbox.control("GET", "/emulator/faults")
        on = {fault["id"] for fault in answer["faults"]}
        return {name: self._ids.get(name) in on for name in _FAULTS}

    async def switch(self, name: str, on: bool) -> None:
        """Switch one on or off; nothing happens where it is so already.

        Raises:
            SandboxError: the emulator does not answer.
        """
        is_on = (await self.faults())[name]
        if on and not is_on:
            answer = await self._sandbox.control(
                "POST", "/emulator/faults", {"fault": _FAULTS[name]}
            )
            (self._ids[name],) = answer["added"]
        elif is_on and not on:
            await self._sandbox.control("DELETE", f"/emulator/faults/{self._ids.pop(name)}")
