"""Chat behind the edge: which replica somebody is on must not matter, nor whether it lives."""

import asyncio
import json
import ssl
import subprocess
import unittest

import websockets

from suite import ROOM, Client, address, compose, eventually, replica_of, run, token

URL = f"ws://{address(80)}/chat/ws"


async def clients_on_different_replicas():
    """Two clients whom the edge has sent to different replicas; others that it took are closed."""
    first = await Client.open(URL, "first")
    for attempt in range(30):
        second = await Client.open(URL, "second")
        if second.node != first.node:
            return first, second
        await second.close()
    raise AssertionError("thirty clients were all sent to one replica")


class Chat(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        await eventually(self.all_replicas_reached, "the edge sends clients to three replicas")

    async def all_replicas_reached(self):
        clients = await asyncio.gather(*(Client.open(URL, f"probe{n}") for n in range(9)))
        nodes = {client.node for client in clients}
        await asyncio.gather(*(client.close() for client in clients))
        return len(nodes) == 3

    async def test_clients_on_different_replicas_talk(self):
        first, second = await clients_on_different_replicas()
        await first.call("subscribe", channel=ROOM)
        await second.call("subscribe", channel=ROOM)
        for sender, receiver in ((first, second), (second, first)):
            position = await sender.call("publish", channel=ROOM, data={"text": "across replicas"})
            seen = await receiver.publication()
            while seen["offset"] < position["offset"]:
                seen = await receiver.publication()
            self.assertEqual(seen["offset"], position["offset"])
            self.assertEqual(seen["data"], {"text": "across replicas"})
        await first.close()
        await second.close()

    async def test_a_killed_replica_is_not_noticed_by_a_client_that_reconnects(self):
        await self.replica_ends("kill")

    async def test_a_stopped_replica_sends_its_clients_away_and_they_recover(self):
        code = await self.replica_ends("stop")
        self.assertEqual(code, 3001)

    async def replica_ends(self, how):
        stays, moves = await clients_on_different_replicas()
        await stays.call("subscribe", channel=ROOM)
        before = await moves.call("subscribe", channel=ROOM)
        container = await asyncio.to_thread(replica_of, moves.node)
        docker = await asyncio.create_subprocess_exec("docker", how, container, stdout=subprocess.DEVNULL)
        try:
            await moves.closed()
            expected = []
            for number in range(5):
                position = await stays.call("publish", channel=ROOM, data={"missed": number})
                expected.append((position["offset"], {"missed": number}))

            again = await eventually(lambda: Client.open(URL, "again"), "a client comes back")
            self.assertNotEqual(again.node, moves.node)
            recover = {"epoch": before["epoch"], "offset": before["offset"]}
            after = await again.call("subscribe", channel=ROOM, recover=recover)
            self.assertTrue(after["recovered"])
            self.assertEqual([(pub["offset"], pub["data"]) for pub in after["publications"]], expected)
            self.assertEqual([offset for offset, _ in expected], list(range(before["offset"] + 1, before["offset"] + 6)))

            live = await stays.call("publish", channel=ROOM, data="live again")
            self.assertEqual((await again.publication())["offset"], live["offset"])
            await again.close()
            await stays.close()
            return moves.socket.close_code
        finally:
            await docker.wait()
            await asyncio.to_thread(run, "docker", "start", container)
            restore = ("up", "--detach", "--wait", "--no-recreate", "--scale", "chat-gateway=3", "--scale", "crypto-service=2")
            await asyncio.to_thread(compose, *restore)

    async def test_a_signed_in_page_gets_in_from_this_origin_alone(self):
        host = f"localhost:{address(443).rpartition(':')[2]}"
        unverified = ssl._create_unverified_context()
        me = await asyncio.to_thread(token, "me", "chat:subscribe:room/*")
        for origin, is_ours in ((f"https://{host}", True), ("https://elsewhere.example", False)):
            arrival = Client.open(f"wss://{host}/chat/ws", "me", me, origin=origin, ssl=unverified)
            if is_ours:
                client = await arrival
                self.assertEqual(client.hello["user"], "me")
                await client.close()
            else:
                with self.assertRaises((AssertionError, ConnectionResetError)):
                    await arrival

    async def test_the_classic_door_has_its_own_port(self):
        async with websockets.connect(f"ws://{address(8765)}/", open_timeout=10) as socket:
            welcome = json.loads(await asyncio.wait_for(socket.recv(), 10))
        self.assertEqual(welcome["type"], "welcome")


if __name__ == "__main__":
    unittest.main()
