"""The edge: pages, certificates, and gRPC whose errors keep their details."""

import ssl
import struct
import unittest
import urllib.request

import grpc

from suite import address, token

CHAT_ADMIN = "/patchbay.chat.v1.ChatAdmin"
EMPTY = b""
LOBBY = b"\x0a\x05lobby"  # the first field, which names a room in every request that has one
STARTED = b"\x0a"  # tag of the first field of a WatchResponse: the watch has begun


def call(method, request, authorization=None):
    """One unary call through the edge; messages stay bytes, so that no generated code is needed."""
    metadata = [("authorization", f"Bearer {authorization}")] if authorization else []
    with grpc.insecure_channel(address(80)) as channel:
        stub = channel.unary_unary(f"{CHAT_ADMIN}/{method}", request_serializer=bytes, response_deserializer=bytes)
        return stub(request, metadata=metadata, timeout=20)


def grpc_web(method, message, authorization=None):
    """The same as a browser's page would do it."""
    headers = {"Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1"}
    if authorization:
        headers["Authorization"] = f"Bearer {authorization}"
    frame = struct.pack(">BI", 0, len(message)) + message
    request = urllib.request.Request(f"http://{address(80)}{CHAT_ADMIN}/{method}", data=frame, headers=headers)
    return urllib.request.urlopen(request, timeout=10)


def details(error):
    return dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")


class Pages(unittest.TestCase):
    def assert_console(self, url, **options):
        with urllib.request.urlopen(url, timeout=10, **options) as response:
            self.assertEqual(response.status, 200)
            self.assertIn("text/html", response.headers["Content-Type"])
            self.assertIn("patchbay", response.read().decode().lower())

    def test_the_console_is_at_the_root_and_on_its_own_port(self):
        self.assert_console(f"http://{address(80)}/")
        self.assert_console(f"http://{address(8000)}/")

    def test_https_has_a_certificate_of_the_local_authority(self):
        unverified = ssl._create_unverified_context()
        port = address(443).rpartition(":")[2]
        self.assert_console(f"https://localhost:{port}/", context=unverified)


class Grpc(unittest.TestCase):
    def assert_refused(self, code, reason, method, request, authorization=None):
        with self.assertRaises(grpc.RpcError) as raised:
            call(method, request, authorization)
        error = raised.exception
        self.assertEqual(error.code(), code, error)
        self.assertIn(b"type.googleapis.com/google.rpc.ErrorInfo", details(error))
        if reason:
            self.assertIn(reason, details(error))

    def test_a_call_without_a_token_is_refused_with_details(self):
        self.assert_refused(grpc.StatusCode.UNAUTHENTICATED, None, "Info", EMPTY)

    def test_a_call_beyond_its_scopes_is_refused_with_details(self):
        mine = token("backend", "chat:admin:room/mine")
        self.assert_refused(grpc.StatusCode.PERMISSION_DENIED, None, "Info", EMPTY, mine)

    def test_bad_input_is_refused_with_its_reason(self):
        admin = token("backend", "chat:admin:*")
        self.assert_refused(grpc.StatusCode.INVALID_ARGUMENT, b"BAD_REQUEST", "History", EMPTY, admin)

    def test_an_operator_sees_every_replica(self):
        answer = call("Info", EMPTY, token("backend", "chat:admin:*"))
        self.assertEqual(answer.count(b"chat-gateway-"), 3, answer)

    def test_a_stream_arrives_while_it_is_open(self):
        metadata = [("authorization", f"Bearer {token('backend', 'chat:admin:room/lobby')}")]
        with grpc.insecure_channel(address(80)) as channel:
            watch = channel.unary_stream(f"{CHAT_ADMIN}/Watch", request_serializer=bytes, response_deserializer=bytes)
            self.assertTrue(next(watch(LOBBY, metadata=metadata, timeout=10)).startswith(STARTED))

    def test_a_stream_arrives_in_a_browser_while_it_is_open(self):
        with grpc_web("Watch", LOBBY, token("backend", "chat:admin:room/lobby")) as response:
            kind, length = struct.unpack(">BI", response.read(5))
            self.assertEqual(kind, 0, "a message, not the end of the stream")
            self.assertTrue(response.read(length).startswith(STARTED))

    def test_a_browser_gets_errors_as_grpc_web(self):
        with grpc_web("Info", EMPTY) as response:
            # In the headers of a call that failed at once, otherwise in the body's last frame.
            answer = f"{response.headers}{response.read().decode(errors='replace')}".lower()
        self.assertRegex(answer, r"grpc-status:\s*16")
        self.assertIn("grpc-status-details-bin", answer)


if __name__ == "__main__":
    unittest.main()
