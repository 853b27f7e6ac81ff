"""A Salesforce org that is not there: REST and Pub/Sub on loopback, for tests and sandboxes.

    async with Emulator(EmulatorOptions(faults=("lock:0.05",))) as emulator:
        ...  # log in at emulator.login_url with emulator.username and so on

It is written from the published facts and imports nothing else of this project, so it cannot
share a client's wrong beliefs. What it assumes where the facts are silent is in assumptions.py.
"""

from .emulator import Emulator, EmulatorOptions
from .faults import FaultError
from .objects import DeclarationError
from .org import Credentials
from .pubsub_limits import PubSubLimits

__all__ = [
    "Credentials",
    "DeclarationError",
    "Emulator",
    "EmulatorOptions",
    "FaultError",
    "PubSubLimits",
]
