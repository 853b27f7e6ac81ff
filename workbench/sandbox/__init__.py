"""A sandbox: a real nats-server and a Salesforce that is not there, started and stopped together.

Import `Sandbox` to have one; `workbench.sandbox.traffic` makes sample events for it.
"""

from workbench.sandbox.process import SandboxError
from workbench.sandbox.sandbox import Sandbox, SandboxOptions
from workbench.sandbox.switches import FaultSwitches

__all__ = ["FaultSwitches", "Sandbox", "SandboxError", "SandboxOptions"]
