"""The running suite as its users see it: addresses at the edge, tokens, chat clients, and Docker to break it with.

Not a test itself. The environment variable COMPOSE, set by scripts/test-compose, is the command that speaks for the suite.
"""

import asyncio
import json
import os
import shlex
import subprocess
import time

import websockets

COMPOSE = shlex.split(os.environ["COMPOSE"])
ROOM = "lobby"
KEY = "/run/patchbay/issuer/token-signing.pem"
PATIENCE = 30.0  # seconds; for what should take less than ten


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def compose(*arguments):
    return run(*COMPOSE, *arguments)


def address(port):
    """Where a port of the edge is published, as host:port."""
    return compose("port", "edge", str(port)).replace("0.0.0.0", "127.0.0.1")


def outside(port):
    """The same where others than this machine itself would dial it: by an address that is not loopback."""
    networks = json.loads(run("docker", "inspect", compose("ps", "--quiet", "edge")))[0]["NetworkSettings"]["Networks"]
    gateway = next(network["Gateway"] for name, network in networks.items() if name.endswith("_edge"))
    return f"{gateway}:{address(port).rpartition(':')[2]}"


def token(subject, *scopes):
    wanted = [word for scope in scopes for word in ("--scope", scope)]
    printed = compose("run", "--rm", "--no-TTY", "init", "token", "create", "--sub", subject, "--key", KEY, *wanted)
    return printed.splitlines()[-1]


def containers():
    """Every container of the suite that should be running, as `docker inspect` describes it."""
    return json.loads(run("docker", "inspect", *compose("ps", "--quiet").split()))


def replica_of(node):
    """The container whose host name is part of a node's id."""
    for container in containers():
        if container["Config"]["Hostname"] in node:
            return container["Id"]
    raise LookupError(f"no container has the host name of node {node}")


async def eventually(attempt, what):
    """Repeats an attempt until it gives something, and fails with the last error when time is up."""
    deadline = time.monotonic() + PATIENCE
    error = None
    while time.monotonic() < deadline:
        try:
            result = await attempt()
            if result:
                return result
        except (OSError, websockets.WebSocketException, AssertionError) as caught:
            error = caught
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what}: not within {PATIENCE:.0f} s ({error!r})")


class Client:
    """A chat client of the native protocol, small enough to trust."""

    def __init__(self, socket):
        self.socket = socket
        self.pushes = asyncio.Queue(1000)
        self.answers = {}
        self.next_id = 0
        self.reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, url, name, authorization=None, **options):
        socket = await websockets.connect(url, subprotocols=["patchbay.v1.json"], open_timeout=10, **options)
        client = cls(socket)
        who = {"token": authorization} if authorization else {"username": name}
        try:
            client.hello = await client.call("connect", **who)
        except BaseException:
            await client.close()
            raise
        return client

    @property
    def node(self):
        return self.hello["node"]

    async def call(self, verb, **fields):
        self.next_id += 1
        answer = asyncio.get_running_loop().create_future()
        self.answers[self.next_id] = answer
        await self.socket.send(json.dumps({"id": self.next_id, verb: fields}))
        reply = await asyncio.wait_for(answer, PATIENCE)
        if "error" in reply:
            raise AssertionError(f"{verb}: {reply['error']}")
        return reply["result"]

    async def publication(self):
        """The next publication pushed to this client."""
        while True:
            push = (await asyncio.wait_for(self.pushes.get(), PATIENCE))["push"]
            if "pub" in push:
                return push["pub"]

    async def closed(self):
        await asyncio.wait_for(self.socket.wait_closed(), PATIENCE)

    async def close(self):
        await self.socket.close()
        self.reader.cancel()

    async def _read(self):
        try:
            async for frame in self.socket:
                for line in frame.split("\n"):
                    await self._take(json.loads(line))
        except websockets.ConnectionClosed:
            pass
        finally:
            for answer in self.answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError("the connection ended before the answer"))

    async def _take(self, message):
        if not message:
            await self.socket.send("{}")
        elif "push" in message:
            self.pushes.put_nowait(message)
        else:
            self.answers.pop(message["id"]).set_result(message)
