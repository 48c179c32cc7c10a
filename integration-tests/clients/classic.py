"""Replays a golden transcript with Python's `websockets`: python3 classic.py URL TRANSCRIPT.

The notation is described in crates/patchbay-testkit/src/transcript.rs.
"""

import asyncio
import json
import re
import sys

from websockets.asyncio.client import connect

ANY_ORDER = "*in any order"


def matches(wanted, came, memory):
    """Whether `came` is what was wanted; words are remembered in `memory`."""
    if isinstance(wanted, str) and wanted.startswith("*"):
        return wanted == "*" or memory.setdefault(wanted, came) == came
    if isinstance(wanted, dict):
        same = isinstance(came, dict) and wanted.keys() == came.keys()
        return same and all(matches(value, came[name], memory) for name, value in wanted.items())
    if isinstance(wanted, list):
        if wanted[:1] == [ANY_ORDER]:
            left = list(came)
            for element in wanted[1:]:
                fits = [value for value in left if matches(element, value, dict(memory))]
                if not fits or not matches(element, fits[0], memory):
                    return False
                left.remove(fits[0])
            return not left
        return len(wanted) == len(came) and all(matches(w, c, memory) for w, c in zip(wanted, came))
    return wanted == came


async def replay(url, lines):
    sockets, memory = {}, {}
    for line in lines:
        number, action, text = re.fullmatch(r"(\d*)([<>x]) ?(.*)", line).groups()
        if number not in sockets:
            sockets[number] = await connect(url, origin="null")
        socket = sockets[number]
        if action == ">":
            await socket.send(text)
        elif action == "x":
            await sockets.pop(number).close()
        else:
            came = json.loads(await asyncio.wait_for(socket.recv(), 10))
            if not matches(json.loads(text), came, memory):
                sys.exit(f"expected {text}\n    came {json.dumps(came, ensure_ascii=False)}")
    for socket in sockets.values():
        await socket.close()


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as transcript:
        steps = [line.rstrip("\n") for line in transcript if line.strip() and not line.startswith("#")]
    asyncio.run(replay(sys.argv[1], steps))
