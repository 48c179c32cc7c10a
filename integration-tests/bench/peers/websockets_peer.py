"""One room on Python's `websockets`, with its broadcast(): every message to every member, the sender
included. It has no history, offsets or presence. Compression is off, as for the others."""

import asyncio
import sys

from websockets.asyncio.server import broadcast, serve

room = set()


async def serve_member(socket):
    try:
        async for message in socket:
            if socket in room:
                broadcast(room, message)
            else:
                room.add(socket)
                await socket.send('{"subscribed":true}')
    finally:
        room.discard(socket)


async def main():
    async with serve(serve_member, "127.0.0.1", int(sys.argv[1]), compression=None) as server:
        await server.serve_forever()


asyncio.run(main())
