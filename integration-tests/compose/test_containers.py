"""What the containers may do: as little as possible, and all of them are well."""

import subprocess
import unittest

from suite import COMPOSE, compose, containers


class Containers(unittest.TestCase):
    def test_all_are_healthy(self):
        states = {c["Name"]: c["State"]["Health"]["Status"] for c in containers()}
        self.assertEqual(len(states), 9, states)
        self.assertEqual(set(states.values()), {"healthy"}, states)

    def test_none_is_root_or_may_become_more(self):
        for container in containers():
            with self.subTest(container["Name"]):
                host = container["HostConfig"]
                self.assertRegex(container["Config"]["User"], r"^[1-9]\d*:\d+$")
                self.assertEqual(host["CapDrop"], ["ALL"])
                self.assertIn("no-new-privileges:true", host["SecurityOpt"])
                self.assertGreater(host["Memory"], 0)

    def test_root_file_systems_are_read_only(self):
        for service in ("camera-relay", "chat-gateway", "console", "crypto-service", "edge", "redis"):
            with self.subTest(service):
                touch = [*COMPOSE, "exec", "--no-TTY", service, "touch", "/usr/local/written"]
                written = subprocess.run(touch, capture_output=True, text=True, timeout=30)
                self.assertNotEqual(written.returncode, 0)
                self.assertIn("Read-only file system", written.stderr)

    def test_a_service_reads_its_own_key_alone(self):
        for service in ("camera-relay", "chat-gateway"):
            with self.subTest(service):
                listed = compose("exec", "--no-TTY", service, "find", "/run/patchbay", "-name", "*.pem")
                self.assertEqual(listed, f"/run/patchbay/{service}/service.pem")

    def test_the_root_key_and_the_issuers_key_are_read_by_crypto_service_alone(self):
        for service in ("camera-relay", "chat-gateway", "console"):
            with self.subTest(service):
                self.assertNotIn("root.key", compose("exec", "--no-TTY", service, "find", "/run/patchbay"))
        listed = compose("exec", "--no-TTY", "crypto-service", "find", "/run/patchbay", "-type", "f").split()
        self.assertIn("/run/patchbay/crypto-service/root.key", listed)
        self.assertIn("/run/patchbay/issuer/token-signing.pem", listed)

    def test_only_the_edge_and_the_media_port_are_reached_from_outside(self):
        for container in containers():
            published = {port for port, where in container["NetworkSettings"]["Ports"].items() if where}
            service = container["Config"]["Labels"]["com.docker.compose.service"]
            with self.subTest(container["Name"]):
                if service == "edge":
                    self.assertTrue(published)
                else:
                    self.assertEqual(published, {"8189/tcp", "8189/udp"} if service == "camera-relay" else set())


if __name__ == "__main__":
    unittest.main()
