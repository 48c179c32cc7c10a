"""Identity and keys through the edge, with two replicas of crypto-service: which one answers does not matter."""

import base64
import json
import os
import re
import tempfile
import unittest
import urllib.error
import urllib.request

from suite import address, compose, run

PASSWORD = "a long enough password"


def call(verb, path, body=None, token=None, port=8200):
    """One REST call; returns the status and the JSON."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{address(port)}{path}", data, headers, method=verb)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"{}")


def text(value):
    return base64.b64encode(value.encode()).decode()


class Crypto(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        links = re.findall(r"#setup=([\w-]+)", compose("logs", "--no-color", "crypto-service"))
        assert links, "no setup link in the log of crypto-service"
        status, answer = call("POST", "/v1/setup", {"secret": links[-1], "name": "keeper", "password": PASSWORD})
        assert status == 200, answer
        cls.token = answer["session"]["token"]

    def test_a_setup_link_is_good_once(self):
        links = set(re.findall(r"#setup=([\w-]+)", compose("logs", "--no-color", "crypto-service")))
        for secret in links:
            status, answer = call("POST", "/v1/setup", {"secret": secret, "name": "second", "password": PASSWORD})
            self.assertEqual((status, answer["error"]["reason"]), (409, "SETUP_DONE"))

    def test_a_token_is_believed_by_the_other_services(self):
        status, answer = call("POST", "/v1/tokens/sign-in", {"name": "keeper", "password": PASSWORD})
        self.assertEqual(status, 200, answer)
        token = answer["session"]["token"]
        # The console's own API, through the console's proxy.
        request = urllib.request.Request(
            f"http://{address(8000)}/patchbay.console.v1.Overview/ListNodes",
            b"\0\0\0\0\0",
            {"content-type": "application/grpc-web+proto", "authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.assertGreaterEqual(answer.read().count(b"crypto-service-"), 2)

    def test_what_one_replica_encrypts_every_replica_decrypts(self):
        status, answer = call("POST", "/v1/keys", {"name": "compose"}, self.token)
        self.assertEqual(status, 200, answer)
        for number in range(20):
            plaintext = text(f"message {number}")
            status, sealed = call("POST", "/v1/keys/compose/encrypt", {"plaintext": plaintext}, self.token)
            self.assertEqual(status, 200, sealed)
            if number == 10:
                self.assertEqual(call("POST", "/v1/keys/compose/rotate", {}, self.token)[0], 200)
            body = {"ciphertext": sealed["ciphertext"]}
            status, opened = call("POST", "/v1/keys/compose/decrypt", body, self.token)
            self.assertEqual((status, opened.get("plaintext")), (200, plaintext), opened)

    def test_keys_survive_both_replicas(self):
        call("POST", "/v1/keys", {"name": "durable"}, self.token)
        sealed = call("POST", "/v1/keys/durable/encrypt", {"plaintext": text("kept")}, self.token)[1]
        run("docker", "kill", *compose("ps", "--quiet", "crypto-service").split())
        compose("up", "--detach", "--wait", "--no-recreate", "--scale", "chat-gateway=3", "--scale", "crypto-service=2")
        status, opened = call("POST", "/v1/keys/durable/decrypt", {"ciphertext": sealed["ciphertext"]}, self.token)
        self.assertEqual((status, opened.get("plaintext")), (200, text("kept")), opened)

    def test_a_file_is_encrypted_by_one_replica_and_decrypted_by_any_whichever_way_it_comes(self):
        call("POST", "/v1/keys", {"name": "files", "type": "KEY_TYPE_AES256_GCM_CHUNKED"}, self.token)
        plain = os.urandom(20_000_003)
        with tempfile.TemporaryDirectory() as folder:
            source, sealed, opened = (os.path.join(folder, name) for name in ("plain", "sealed", "opened"))
            with open(source, "wb") as file:
                file.write(plain)
            for base, options in [
                (f"http://{address(8200)}", ["--http1.1"]),
                (f"http://{address(80)}/crypto", ["--http1.1"]),
                (f"http://{address(80)}/crypto", ["--http2-prior-knowledge"]),
                (f"https://{address(443)}/crypto".replace("127.0.0.1", "localhost"), ["--insecure"]),
            ]:
                with self.subTest(base=base, options=options):
                    self.stream(f"{base}/v1/keys/files/encrypt-stream", options, source, sealed)
                    self.stream(f"{base}/v1/keys/files/decrypt-stream", options, sealed, opened)
                    with open(opened, "rb") as file:
                        self.assertEqual(file.read(), plain)

    def stream(self, url, options, source, target):
        header = f"Authorization: Bearer {self.token}"
        command = ["curl", "--silent", "--show-error", "--fail", "--max-time", "60", "--request", "POST", *options]
        run(*command, "--header", header, "--upload-file", source, "--output", target, url)

    def test_calls_without_a_token_are_refused(self):
        status, answer = call("POST", "/v1/keys", {"name": "mine"})
        self.assertEqual((status, answer["error"]["reason"]), (401, "TOKEN_MISSING"))

    def test_the_edge_passes_rest_on_under_its_prefix(self):
        self.assertEqual(call("GET", "/crypto/v1/setup", port=80), (200, {"is_needed": False}))


if __name__ == "__main__":
    unittest.main()
