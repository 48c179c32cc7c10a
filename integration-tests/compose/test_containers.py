"""What the containers may do: as little as possible, and all of them are well."""

import subprocess
import unittest

from suite import COMPOSE, compose, containers


class Containers(unittest.TestCase):
    def test_all_are_healthy(self):
        states = {c["Name"]: c["State"]["Health"]["Status"] for c in containers()}
        self.assertEqual(len(states), 8, states)
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
        for service in ("chat-gateway", "console", "crypto-service", "edge", "redis"):
            with self.subTest(service):
                touch = [*COMPOSE, "exec", "--no-TTY", service, "touch", "/usr/local/written"]
                written = subprocess.run(touch, capture_output=True, text=True, timeout=30)
                self.assertNotEqual(written.returncode, 0)
                self.assertIn("Read-only file system", written.stderr)

    def test_a_service_reads_its_own_key_alone(self):
        listed = compose("exec", "--no-TTY", "chat-gateway", "find", "/run/patchbay", "-name", "*.pem")
        self.assertEqual(listed, "/run/patchbay/chat-gateway/service.pem")

    def test_the_root_key_and_the_issuers_key_are_read_by_crypto_service_alone(self):
        for service in ("chat-gateway", "console"):
            with self.subTest(service):
                self.assertNotIn("root.key", compose("exec", "--no-TTY", service, "find", "/run/patchbay"))
        listed = compose("exec", "--no-TTY", "crypto-service", "find", "/run/patchbay", "-type", "f").split()
        self.assertIn("/run/patchbay/crypto-service/root.key", listed)
        self.assertIn("/run/patchbay/issuer/token-signing.pem", listed)

    def test_only_the_edge_is_reached_from_outside(self):
        for container in containers():
            published = any(container["NetworkSettings"]["Ports"].values())
            is_edge = container["Config"]["Labels"]["com.docker.compose.service"] == "edge"
            with self.subTest(container["Name"]):
                self.assertEqual(published, is_edge)


if __name__ == "__main__":
    unittest.main()
