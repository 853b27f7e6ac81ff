"""A TCP proxy that resets, refuses or stalls what goes through it."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

__all__ = ["Proxy"]

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST instead of FIN
_CHUNK_BYTES = 65_536


class Proxy:
    """Passes on bytes between clients and `127.0.0.1:target`.

    Attributes:
        port: where clients connect to.
        resets: connections that were reset by us.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.resets = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._holder: socket.socket | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    async def start(self) -> None:
        """Listen, on the same port again after `refuse`."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_port=True
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._release()

    async def aclose(self) -> None:
        self.refuse()
        self._release()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def refuse(self) -> None:
        """Nobody can connect any more, and whoever is connected is reset."""
        if self._server is not None:
            # The port stays ours: else a client's own connection might be given it meanwhile.
            self._holder = socket.socket()
            self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._holder.bind(("127.0.0.1", self.port))
            self._server.close()
            self._server = None
        self.reset()

    def _release(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    def reset(self) -> None:
        """Reset every connection, in both directions."""
        for writer in self._writers:
            peer = writer.get_extra_info("socket")
            with suppress(OSError):
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
            self.resets += 1

    def stall(self) -> None:
        """Connections stay, and nothing goes through, until `flow`."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        pumps = {
            asyncio.create_task(self._pump(reader, back)),
            asyncio.create_task(self._pump(there, writer)),
        }
        self._pumps |= pumps
        await asyncio.wait(pumps)
        self._pumps -= pumps
        self._writers -= {writer, back}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
