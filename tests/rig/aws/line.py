"""A line to an instance's port 22 on which every byte is under way for a while."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from functools import cached_property

# Where sshd listens behind a line; nothing connects to it but the line.
BEHIND = 2222
CHUNK = 65536


class Lines:
    """All lines of one rig, served by one thread.

    Bandwidth is not limited and nothing gets lost: only the time until the first and each further
    answer is that of a distant machine.
    """

    def __init__(self) -> None:
        self._servers: dict[str, asyncio.Server] = {}

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The thread's loop; most rigs have no line, and need none."""
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True, name="rig-lines").start()
        return loop

    def open(self, instance_id: str, address: str, round_trip: float) -> None:
        """Listen on an instance's port 22.

        Args:
            instance_id: the instance,
            address: its address.
            round_trip: seconds from a byte to its answer.
        """

        async def serve() -> asyncio.Server:
            async def connected(near: Reader, far: Writer) -> None:
                await _connect(near, far, address, round_trip)

            return await asyncio.start_server(connected, address, 22)

        opened = asyncio.run_coroutine_threadsafe(serve(), self._loop)
        self._servers[instance_id] = opened.result(5)

    def close(self, instance_id: str) -> None:
        """Take no further connections; those that are open end with the instance."""
        server = self._servers.pop(instance_id, None)
        if server:
            # Its own loop: instances that are launched at once may each have made one.
            server.get_loop().call_soon_threadsafe(server.close)

    def close_all(self) -> None:
        """Close every line."""
        for instance_id in list(self._servers):
            self.close(instance_id)


Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


async def _connect(reader: Reader, writer: Writer, address: str, round_trip: float) -> None:
    """Carry one connection, from its handshake on."""
    await asyncio.sleep(round_trip)
    try:
        far_reader, far_writer = await asyncio.open_connection(address, BEHIND)
    except OSError:
        writer.close()
        return
    there = _carry(reader, far_writer, round_trip / 2)
    back = _carry(far_reader, writer, round_trip / 2)
    await asyncio.gather(there, back)


async def _carry(reader: Reader, writer: Writer, seconds: float) -> None:
    """Hand on what comes, each piece so much later, until one side has closed."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def take() -> None:
        data = b"-"
        while data:
            with contextlib.suppress(OSError):
                data = b""
                data = await reader.read(CHUNK)
            under_way.put_nowait((loop.time() + seconds, data))

    taking = asyncio.ensure_future(take())
    with contextlib.suppress(OSError):
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
    taking.cancel()
    writer.close()
