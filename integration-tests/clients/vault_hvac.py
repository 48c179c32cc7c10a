"""Uses crypto-service as Vault's Transit engine, with hvac as it is published. Arguments: address, then tokens in the
environment: ADMIN (everything), READER (may only read keys named shared-*), KEY (an API key that may do everything)."""

import base64
import datetime
import hashlib
import hmac as hmac_module
import os
import sys
import unittest

import hvac
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hvac import exceptions

ADDRESS = sys.argv.pop(1)
ADMIN, READER, KEY = (os.environ[name] for name in ("ADMIN", "READER", "KEY"))


def b64(data):
    return base64.b64encode(data).decode()


def client(token):
    return hvac.Client(url=ADDRESS, token=token)


class Transit(unittest.TestCase):
    def setUp(self):
        self.client = client(ADMIN)
        self.transit = self.client.secrets.transit

    def key(self, **how):
        name = "-".join(self.id().split(".")[1:]).replace("_", "-").lower() + "-" + how.pop("part", "a")
        self.transit.create_key(name, **how)
        return name

    def read(self, name):
        return self.transit.read_key(name)["data"]

    def encrypt(self, name, data, **how):
        return self.transit.encrypt_data(name, plaintext=b64(data), **how)["data"]["ciphertext"]

    def decrypt(self, name, text, **how):
        return base64.b64decode(self.transit.decrypt_data(name, text, **how)["data"]["plaintext"])


class Client(Transit):
    def test_health_and_who(self):
        self.assertTrue(self.client.is_authenticated())
        self.assertFalse(client("nonsense").is_authenticated())
        self.assertFalse(hvac.Client(url=ADDRESS).is_authenticated())
        self.assertEqual(self.client.sys.read_health_status(method="HEAD").status_code, 200)
        health = self.client.sys.read_health_status(method="GET")
        self.assertTrue(health["initialized"] and not health["sealed"])
        self.assertFalse(self.client.sys.is_sealed())
        me = self.client.auth.token.lookup_self()
        self.assertEqual(me["data"]["policies"], ["admin"])
        self.assertNotIn(ADMIN, str(me))

    def test_frame(self):
        answer = self.transit.read_key(self.key())
        self.assertEqual(
            set(answer),
            {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth"},
        )

    def test_api_key(self):
        transit = client(KEY).secrets.transit
        transit.create_key("by-api-key")
        for _ in range(3):
            self.assertEqual(transit.read_key("by-api-key")["data"]["name"], "by-api-key")
        id_, secret = KEY.rsplit("_", 1)
        for wrong in (id_ + "_" + secret[::-1], "pbk_x_y", "pbk_"):
            with self.assertRaises(exceptions.Forbidden):
                client(wrong).secrets.transit.read_key("by-api-key")


class Keys(Transit):
    def test_create_and_read(self):
        data = self.read(self.key())
        self.assertEqual(data["type"], "aes256-gcm96")
        self.assertEqual((data["latest_version"], data["min_decryption_version"]), (1, 1))
        self.assertEqual(data["min_encryption_version"], 0)
        self.assertTrue(data["supports_encryption"] and data["supports_decryption"])
        self.assertFalse(data["supports_signing"] or data["derived"] or data["exportable"])
        self.assertIsInstance(data["keys"]["1"], int)

    def test_every_type(self):
        for kind in hvac.constants.transit.ALLOWED_KEY_TYPES:
            data = self.read(self.key(part=kind, key_type=kind))
            self.assertEqual(data["type"], kind)
            if kind.startswith(("rsa", "ecdsa")):
                serialization.load_pem_public_key(data["keys"]["1"]["public_key"].encode())
                self.assertTrue(data["supports_signing"])
            if kind == "ed25519":
                self.assertEqual(len(base64.b64decode(data["keys"]["1"]["public_key"])), 32)

    def test_create_again_changes_nothing(self):
        name = self.key()
        text = self.encrypt(name, b"before")
        again = self.transit.create_key(name)
        self.assertTrue(again["warnings"])
        self.assertEqual(self.decrypt(name, text), b"before")

    def test_list(self):
        names = {self.key(part="a"), self.key(part="b")}
        self.assertLessEqual(names, set(self.transit.list_keys()["data"]["keys"]))
        # The other way to list.
        self.assertEqual(
            set(self.client.adapter.get("/v1/transit/keys", params={"list": "true"})["data"]["keys"]),
            set(self.transit.list_keys()["data"]["keys"]),
        )

    def test_rotate_config_rewrap_trim(self):
        name = self.key()
        old = self.encrypt(name, b"old")
        self.assertTrue(old.startswith("vault:v1:"))
        self.assertEqual(self.transit.rotate_key(name)["data"]["latest_version"], 2)
        self.transit.rotate_key(name)
        self.assertTrue(self.encrypt(name, b"new").startswith("vault:v3:"))
        self.assertTrue(self.encrypt(name, b"new", key_version=2).startswith("vault:v2:"))
        self.assertEqual(self.decrypt(name, old), b"old")
        new = self.transit.rewrap_data(name, old)["data"]
        self.assertEqual(new["key_version"], 3)
        self.transit.update_key_configuration(name, min_decryption_version=3)
        self.assertEqual(self.decrypt(name, new["ciphertext"]), b"old")
        with self.assertRaises(exceptions.InvalidRequest):
            self.decrypt(name, old)
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.update_key_configuration(name, min_decryption_version=9)
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.trim_key(name, 4)
        self.client.adapter.post(f"/v1/transit/keys/{name}/config", json={"min_encryption_version": 3})
        self.transit.trim_key(name, 3)
        data = self.read(name)
        self.assertEqual((data["min_available_version"], list(data["keys"])), (3, ["3"]))

    def test_auto_rotate_period(self):
        for period, seconds in (("24h", 86400), ("0", 0), ("3600", 3600), (7200, 7200)):
            name = self.key(part=str(period), auto_rotate_period=period)
            self.assertEqual(self.read(name)["auto_rotate_period"], seconds)
        self.transit.update_key_configuration(name, auto_rotate_period="48h")
        self.assertEqual(self.read(name)["auto_rotate_period"], 172800)
        for wrong in ("5s", "soon"):
            with self.assertRaises(exceptions.InvalidRequest):
                self.key(part="wrong", auto_rotate_period=wrong)

    def test_delete(self):
        name = self.key()
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.delete_key(name)
        self.transit.update_key_configuration(name, deletion_allowed=True)
        self.assertEqual(self.transit.delete_key(name).status_code, 204)
        with self.assertRaises(exceptions.InvalidPath):
            self.transit.read_key(name)

    def test_soft_delete(self):
        name = self.key()
        text = self.encrypt(name, b"kept")
        self.client.adapter.post(f"/v1/transit/keys/{name}/soft-delete")
        self.assertTrue(self.read(name)["soft_deleted"])
        with self.assertRaises(exceptions.InvalidRequest):
            self.decrypt(name, text)
        self.client.adapter.post(f"/v1/transit/keys/{name}/soft-delete-restore")
        self.assertEqual(self.decrypt(name, text), b"kept")

    def test_one_way(self):
        name = self.key()
        self.transit.update_key_configuration(name, exportable=True, allow_plaintext_backup=True)
        self.transit.update_key_configuration(name, exportable=False, allow_plaintext_backup=False)
        data = self.read(name)
        self.assertTrue(data["exportable"] and data["allow_plaintext_backup"])

    def test_what_is_not_offered(self):
        with self.assertRaises(exceptions.InvalidRequest):
            self.key(derived=True)
        with self.assertRaises(exceptions.InvalidRequest):
            self.client.adapter.post("/v1/transit/keys/half", json={"convergent_encryption": True})
        with self.assertRaises(exceptions.InvalidRequest):
            self.key(derived=True, convergent_encryption=True, key_type="ed25519")
        with self.assertRaises(exceptions.VaultError) as raised:
            self.client.adapter.post("/v1/transit/byok-export/a/b")
        self.assertIn("wrapping key", str(raised.exception))
        self.assertEqual(self.client.adapter.get("/v1/transit/cache-config")["data"], {"size": 0})
        with self.assertRaises(exceptions.InvalidPath):
            self.client.adapter.get("/v1/transit/nothing/here")
        with self.assertRaises(exceptions.UnexpectedError):  # 405
            self.client.adapter.put(f"/v1/transit/keys")


class Convergent(Transit):
    def convergent(self):
        return self.key(derived=True, convergent_encryption=True)

    def test_the_same_is_the_same_in_a_context(self):
        name = self.convergent()
        data = self.read(name)
        self.assertTrue(data["derived"] and data["convergent_encryption"] and data["supports_derivation"])
        seal = lambda text, context: self.encrypt(name, text, context=b64(context))
        first = seal(b"card 1", b"cards")
        self.assertEqual(seal(b"card 1", b"cards"), first)
        self.assertEqual(len({first, seal(b"card 2", b"cards"), seal(b"card 1", b"accounts")}), 3)
        self.assertEqual(self.decrypt(name, first, context=b64(b"cards")), b"card 1")
        for other in (None, b64(b"accounts")):
            with self.assertRaises(exceptions.InvalidRequest):
                self.decrypt(name, first, context=other)
        self.transit.rotate_key(name)
        again = self.transit.rewrap_data(name, first, context=b64(b"cards"))["data"]["ciphertext"]
        self.assertEqual(again, seal(b"card 1", b"cards"))
        self.assertTrue(again.startswith("vault:v2:"))

    def test_the_largest_message_comes_back(self):
        name, message = self.key(), os.urandom(2 << 20)
        self.assertEqual(self.decrypt(name, self.encrypt(name, message)), message)

    def test_batch(self):
        name = self.convergent()
        items = [{"plaintext": b64(b"x"), "context": b64(context)} for context in (b"a", b"b", b"a")]
        results = self.transit.encrypt_data(name, batch_input=items)["data"]["batch_results"]
        texts = [result["ciphertext"] for result in results]
        self.assertTrue(texts[0] == texts[2] != texts[1])

    def test_data_keys_are_random_all_the_same(self):
        name = self.convergent()
        made = [self.transit.generate_data_key(name, "plaintext", context=b64(b"c"))["data"]["plaintext"] for _ in "ab"]
        self.assertNotEqual(*made)

    def test_refused(self):
        name = self.convergent()
        with self.assertRaises(exceptions.InvalidRequest):
            self.encrypt(name, b"x", context=b64(b"a"), associated_data=b64(b"b"))
        with self.assertRaises(exceptions.InvalidRequest):
            self.encrypt(name, b"x", context=b64(b"a"), nonce=b64(b"x" * 12))
        with self.assertRaises(exceptions.InvalidRequest) as raised:
            self.encrypt(self.key(part="plain"), b"x", context=b64(b"a"))
        self.assertIn("convergent", str(raised.exception))
        with self.assertRaises(exceptions.Forbidden):
            client(READER).secrets.transit.encrypt_data(name, plaintext=b64(b"x"), context=b64(b"a"))


class Import(Transit):
    """hvac has no calls for these, so that their paths are given."""

    def post(self, path, **body):
        return self.client.adapter.post(f"/v1/transit/keys/{path}", json=body)

    def wrap(self, material, digest=hashes.SHA256()):
        pem = self.client.adapter.get("/v1/transit/wrapping_key")["data"]["public_key"]
        public = serialization.load_pem_public_key(pem.encode())
        self.assertEqual(public.key_size, 4096)
        ephemeral = os.urandom(32)
        oaep = padding.OAEP(padding.MGF1(digest), digest, None)
        return b64(public.encrypt(ephemeral, oaep) + keywrap.aes_key_wrap_with_padding(ephemeral, material))

    def test_symmetric(self):
        secret = os.urandom(32)
        for function, digest in (("SHA1", hashes.SHA1()), ("SHA256", hashes.SHA256()), ("SHA512", hashes.SHA512())):
            name = f"imported-{function.lower()}"
            self.post(f"{name}/import", ciphertext=self.wrap(secret, digest), hash_function=function, type="aes256-gcm96",
                      allow_rotation=True, allow_plaintext_backup=False, auto_rotate_period="0")
            raw = base64.b64decode(self.encrypt(name, b"mine").split(":")[2])
            self.assertEqual(AESGCM(secret).decrypt(raw[:12], raw[12:], None), b"mine")
            self.assertTrue(self.read(name)["imported_key"])

    def test_versions(self):
        first, second = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
        pkcs8 = lambda key: key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.post("imported-ed/import", ciphertext=self.wrap(pkcs8(first)), type="ed25519")
        with self.assertRaises(exceptions.InvalidRequest) as raised:
            self.post("imported-ed/import", ciphertext=self.wrap(pkcs8(second)), type="ed25519")
        self.assertIn("import_version", str(raised.exception))
        self.post("imported-ed/import_version", ciphertext=self.wrap(pkcs8(second)))
        public = lambda key: b64(key.public_key().public_bytes_raw())
        told = self.read("imported-ed")["keys"]
        self.assertEqual((told["1"]["public_key"], told["2"]["public_key"]), (public(first), public(second)))

    def test_refused(self):
        good = self.wrap(os.urandom(32))
        for body in (
            {"ciphertext": good, "hash_function": "SHA512"},
            {"ciphertext": b64(b"x" * 600)},
            {"ciphertext": good, "hash_function": "MD5"},
            {"ciphertext": good, "derived": True},
            {"ciphertext": good, "allow_plaintext_backup": True},
            {"ciphertext": good, "auto_rotate_period": "24h"},
            {"ciphertext": self.wrap(os.urandom(31))},
            {"public_key": "x"},
            {},
        ):
            with self.assertRaises(exceptions.InvalidRequest):
                self.post("never/import", type="aes256-gcm96", **body)
        with self.assertRaises(exceptions.InvalidRequest):
            self.post("never/import_version", ciphertext=good)
        name = self.key()
        with self.assertRaises(exceptions.InvalidRequest):
            self.post(f"{name}/import_version", ciphertext=good)
        with self.assertRaises(exceptions.Forbidden):
            client(READER).adapter.post("/v1/transit/keys/shared-new/import", json={"ciphertext": good})


class Certificates(Transit):
    def post(self, path, **body):
        return self.client.adapter.post(f"/v1/transit/keys/{path}", json=body)

    def test_request_and_chain(self):
        authority = ec.generate_private_key(ec.SECP256R1())
        of = lambda text: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        template = x509.CertificateSigningRequestBuilder().subject_name(of("mail.example.com"))
        template = template.add_extension(x509.SubjectAlternativeName([x509.DNSName("mail.example.com")]), False)
        template = template.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        for kind in ("ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-2048"):
            name = self.key(part=kind, key_type=kind)
            made = self.post(f"{name}/csr", csr=template)["data"]
            self.assertEqual((made["name"], made["type"]), (name, kind))
            request = x509.load_pem_x509_csr(made["csr"].encode())
            self.assertTrue(request.is_signature_valid)
            self.assertEqual(request.subject, of("mail.example.com"))
            self.assertEqual(len(request.extensions), 1)
            now = datetime.datetime.now(datetime.timezone.utc)
            leaf = x509.CertificateBuilder(of("authority"), request.subject, request.public_key(), 7, now, now + datetime.timedelta(1))
            leaf = leaf.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
            self.post(f"{name}/set-certificate", certificate_chain=leaf)
            self.assertEqual(self.read(name)["keys"]["1"]["certificate_chain"], leaf)
        other = self.key(part="other", key_type="ed25519")
        for body in ({"certificate_chain": leaf}, {"certificate_chain": "x"}, {}):
            with self.assertRaises(exceptions.InvalidRequest):
                self.post(f"{other}/set-certificate", **body)
        for body in ({}, {"csr": "x"}, {"csr": template, "version": 7}):
            with self.assertRaises(exceptions.InvalidRequest):
                self.post(f"{other}/csr", **body)
        with self.assertRaises(exceptions.InvalidRequest):
            self.post(f"{self.key(part='symmetric')}/csr", csr=template)
        for path in ("csr", "set-certificate"):
            with self.assertRaises(exceptions.Forbidden):
                client(READER).adapter.post(f"/v1/transit/keys/{other}/{path}", json={"csr": template, "certificate_chain": leaf})


class Export(Transit):
    def test_symmetric(self):
        name = self.key(exportable=True)
        text = self.encrypt(name, b"for another library")
        self.transit.rotate_key(name)
        exported = self.transit.export_key(name, "encryption-key")["data"]
        self.assertEqual((exported["name"], exported["type"], set(exported["keys"])), (name, "aes256-gcm96", {"1", "2"}))
        only = self.transit.export_key(name, "encryption-key", version=1)["data"]["keys"]
        self.assertEqual(only, {"1": exported["keys"]["1"]})
        latest = self.transit.export_key(name, "encryption-key", version="latest")["data"]["keys"]
        self.assertEqual(set(latest), {"2"})
        sealed = base64.b64decode(text.split(":")[2])
        aes = AESGCM(base64.b64decode(only["1"]))
        self.assertEqual(aes.decrypt(sealed[:12], sealed[12:], None), b"for another library")
        nonce = os.urandom(12)
        foreign = "vault:v1:" + b64(nonce + aes.encrypt(nonce, b"from there", b"bound"))
        self.assertEqual(self.decrypt(name, foreign, associated_data=b64(b"bound")), b"from there")

    def test_asymmetric(self):
        for kind in ("rsa-2048", "ecdsa-p256"):
            name = self.key(part=kind, key_type=kind, exportable=True)
            pem = self.transit.export_key(name, "signing-key")["data"]["keys"]["1"]
            private = serialization.load_pem_private_key(pem.encode(), None)
            public = private.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            self.assertEqual(self.read(name)["keys"]["1"]["public_key"].strip(), public.decode().strip())
        exported = self.client.adapter.get(f"/v1/transit/export/public-key/{name}")["data"]["keys"]["1"]
        self.assertEqual(exported.strip(), public.decode().strip())

    def test_ed25519(self):
        name = self.key(key_type="ed25519", exportable=True)
        both = base64.b64decode(self.transit.export_key(name, "signing-key")["data"]["keys"]["1"])
        self.assertEqual(len(both), 64)
        public = ed25519.Ed25519PrivateKey.from_private_bytes(both[:32]).public_key().public_bytes_raw()
        self.assertEqual(public, both[32:])
        self.assertEqual(b64(public), self.read(name)["keys"]["1"]["public_key"])

    def test_refused(self):
        name = self.key()
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.export_key(name, "encryption-key")
        name = self.key(part="exportable", exportable=True)
        for part in ("signing-key", "hmac-key"):
            with self.assertRaises(exceptions.InvalidRequest):
                self.transit.export_key(name, part)
        with self.assertRaises(exceptions.InvalidPath):
            self.transit.export_key("not-there", "encryption-key")

    def test_backup_and_restore(self):
        name = self.key(exportable=True, allow_plaintext_backup=True)
        text = self.encrypt(name, b"saved")
        backup = self.transit.backup_key(name)["data"]["backup"]
        self.transit.restore_key(backup, name=name + "-copy")
        self.assertEqual(self.decrypt(name + "-copy", text), b"saved")
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.restore_key(backup)
        self.transit.restore_key(backup, force=True)
        self.transit.update_key_configuration(name, deletion_allowed=True)
        self.transit.delete_key(name)
        self.transit.restore_key(backup)
        self.assertEqual(self.decrypt(name, text), b"saved")
        for wrong in ("%%%", b64(b"nonsense"), backup[:-8]):
            with self.assertRaises(exceptions.InvalidRequest):
                self.transit.restore_key(wrong, name="x")
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.backup_key(self.key(part="closed"))


class Cipher(Transit):
    def test_round_trip(self):
        name = self.key()
        for data in (b"", b"a", os.urandom(5000)):
            self.assertEqual(self.decrypt(name, self.encrypt(name, data)), data)

    def test_types(self):
        for kind in ("chacha20-poly1305", "rsa-2048"):
            name = self.key(part=kind, key_type=kind)
            self.assertEqual(self.decrypt(name, self.encrypt(name, b"hello")), b"hello")
        rsa = serialization.load_pem_public_key(self.read(name)["keys"]["1"]["public_key"].encode())
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        self.assertEqual(self.decrypt(name, "vault:v1:" + b64(rsa.encrypt(b"from there", oaep))), b"from there")

    def test_associated_data(self):
        name = self.key()
        text = self.encrypt(name, b"bound", associated_data=b64(b"row 7"))
        self.assertEqual(self.decrypt(name, text, associated_data=b64(b"row 7")), b"bound")
        for other in (None, b64(b"row 8")):
            with self.assertRaises(exceptions.InvalidRequest):
                self.decrypt(name, text, associated_data=other)

    def test_one_error_for_whatever_is_wrong(self):
        name, other = self.key(part="a"), self.key(part="b")
        text = self.encrypt(name, b"secret")
        head, body = text.rsplit(":", 1)
        raw = bytearray(base64.b64decode(body))
        raw[-1] ^= 1
        errors = set()
        for key, wrong in ((name, f"{head}:{b64(bytes(raw))}"), (other, text), (name, f"{head}:{b64(b'short')}")):
            with self.assertRaises(exceptions.InvalidRequest) as raised:
                self.decrypt(key, wrong)
            errors.add(tuple(raised.exception.errors))
        self.assertEqual(len(errors), 1)
        with self.assertRaises(exceptions.InvalidRequest):
            self.decrypt(name, body)  # no prefix

    def test_batch(self):
        name = self.key()
        items = [{"plaintext": b64(bytes([n])), "reference": f"item {n}"} for n in range(100)]
        results = self.transit.encrypt_data(name, batch_input=items)["data"]["batch_results"]
        self.assertEqual([r["reference"] for r in results], [i["reference"] for i in items])
        sealed = [{"ciphertext": r["ciphertext"], "reference": r["reference"]} for r in results]
        opened = self.transit.decrypt_data(name, batch_input=sealed)["data"]["batch_results"]
        self.assertEqual([r["plaintext"] for r in opened], [i["plaintext"] for i in items])
        self.transit.rotate_key(name)
        again = self.transit.rewrap_data(name, None, batch_input=sealed)["data"]["batch_results"]
        self.assertTrue(all(r["key_version"] == 2 and r["ciphertext"].startswith("vault:v2:") for r in again))

    def test_partial_failure(self):
        name = self.key()
        good = self.encrypt(name, b"good")
        body = {"batch_input": [{"ciphertext": good}, {"ciphertext": "vault:v1:AAAA", "reference": "odd"}]}
        with self.assertRaises(exceptions.InvalidRequest) as raised:
            self.client.adapter.post(f"/v1/transit/decrypt/{name}", json=body)
        results = raised.exception.json["data"]["batch_results"]
        self.assertEqual(results[0]["plaintext"], b64(b"good"))
        self.assertTrue(results[1]["error"] and results[1]["reference"] == "odd")
        body["partial_failure_response_code"] = 202
        answer = self.client.adapter.post(f"/v1/transit/decrypt/{name}", json=body)
        self.assertEqual((answer.status_code, answer.json()["data"]["batch_results"]), (202, results))

    def test_upsert(self):
        self.transit.encrypt_data("upserted", plaintext=b64(b"x"))
        self.assertEqual(self.read("upserted")["type"], "aes256-gcm96")
        self.transit.encrypt_data("upserted-2", plaintext=b64(b"x"), type="chacha20-poly1305")
        self.assertEqual(self.read("upserted-2")["type"], "chacha20-poly1305")
        items = [{"plaintext": b64(b"x")}, {"plaintext": b64(b"y")}]
        results = self.transit.encrypt_data("upserted-3", batch_input=items)["data"]["batch_results"]
        self.assertEqual(len(results), 2)
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.encrypt_data("upserted-4", plaintext=b64(b"x"), type="ed25519")

    def test_refused(self):
        name = self.key()
        for odd in ({"context": b64(b"x")}, {"nonce": b64(b"x" * 12)}, {"key_version": 7}):
            with self.assertRaises(exceptions.InvalidRequest):
                self.encrypt(name, b"x", **odd)
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.encrypt_data(name, plaintext="not base64!")
        with self.assertRaises(exceptions.InvalidRequest):
            self.transit.encrypt_data(name, batch_input=[])
        with self.assertRaises(exceptions.InvalidRequest):
            self.decrypt("not-there", "vault:v1:AAAA")

    def test_data_key(self):
        name = self.key()
        for bits in (128, 256, 512):
            made = self.transit.generate_data_key(name, "plaintext", bits=bits)["data"]
            self.assertEqual(len(base64.b64decode(made["plaintext"])) * 8, bits)
            self.assertEqual(b64(self.decrypt(name, made["ciphertext"])), made["plaintext"])
        wrapped = self.transit.generate_data_key(name, "wrapped")["data"]
        self.assertNotIn("plaintext", wrapped)
        self.assertEqual(len(self.decrypt(name, wrapped["ciphertext"])), 32)


class Tools(Transit):
    def test_random(self):
        self.assertEqual(len(base64.b64decode(self.transit.generate_random_bytes()["data"]["random_bytes"])), 32)
        text = self.transit.generate_random_bytes(n_bytes=16, output_format="hex")["data"]["random_bytes"]
        self.assertEqual(len(bytes.fromhex(text)), 16)
        again = self.client.adapter.post("/v1/transit/random/platform/8")["data"]["random_bytes"]
        self.assertEqual(len(base64.b64decode(again)), 8)
        for wrong in ({"n_bytes": 0}, {"n_bytes": 10**6}, {"output_format": "octal"}):
            with self.assertRaises(exceptions.InvalidRequest):
                self.transit.generate_random_bytes(**wrong)

    def test_hash(self):
        for word, name in (("sha2-224", "sha224"), ("sha2-256", "sha256"), ("sha2-512", "sha512")):
            text = self.transit.hash_data(b64(b"abc"), algorithm=word)["data"]["sum"]
            self.assertEqual(text, hashlib.new(name, b"abc").hexdigest())
        text = self.transit.hash_data(b64(b"abc"), algorithm="sha2-256", output_format="base64")["data"]["sum"]
        self.assertEqual(base64.b64decode(text), hashlib.sha256(b"abc").digest())
        text = self.client.adapter.post("/v1/transit/hash/sha3-256", json={"input": b64(b"abc")})["data"]["sum"]
        self.assertEqual(text, hashlib.sha3_256(b"abc").hexdigest())
        with self.assertRaises(exceptions.InvalidRequest):
            self.client.adapter.post("/v1/transit/hash/md5", json={"input": b64(b"abc")})

    def hmac_key(self):
        name = "t-" + self.id().rsplit(".", 1)[1].replace("_", "-")
        self.client.adapter.post(f"/v1/transit/keys/{name}", json={"type": "hmac", "exportable": True, "key_size": 64})
        return name

    def test_hmac(self):
        name = self.hmac_key()
        secret = base64.b64decode(self.transit.export_key(name, "hmac-key")["data"]["keys"]["1"])
        self.assertEqual(len(secret), 64)
        for word, function in (("sha2-256", "sha256"), ("sha2-512", "sha512")):
            made = self.transit.generate_hmac(name, b64(b"message"), algorithm=word)["data"]["hmac"]
            self.assertTrue(made.startswith("vault:v1:"))
            expected = hmac_module.new(secret, b"message", function).digest()
            self.assertEqual(base64.b64decode(made.split(":")[2]), expected)
            path = f"/v1/transit/verify/{name}/{word}"
            for data, valid in ((b"message", True), (b"massage", False)):
                answer = self.client.adapter.post(path, json={"input": b64(data), "hmac": made})
                self.assertEqual(answer["data"]["valid"], valid)
        answer = self.transit.verify_signed_data(name, b64(b"message"), hmac=made, hash_algorithm="sha2-512")
        self.assertTrue(answer["data"]["valid"])
        items = [{"input": b64(b"a"), "reference": "r"}, {"input": b64(b"b")}]
        results = self.client.adapter.post(f"/v1/transit/hmac/{name}", json={"batch_input": items})["data"]["batch_results"]
        self.assertEqual([r["reference"] for r in results], ["r", ""])

    def test_hmac_of_another_key(self):
        with self.assertRaises(exceptions.InvalidRequest) as raised:
            self.transit.generate_hmac(self.key(), b64(b"message"))
        self.assertIn("type hmac", str(raised.exception))


class Signatures(Transit):
    def sign(self, name, data, **how):
        text = self.transit.sign_data(name, b64(data), **how)["data"]["signature"]
        return text, base64.b64decode(text.split(":")[2])

    def valid(self, name, data, signature, **how):
        return self.transit.verify_signed_data(name, b64(data), signature=signature, **how)["data"]["valid"]

    def public(self, name, version="1"):
        return serialization.load_pem_public_key(self.read(name)["keys"][version]["public_key"].encode())

    def test_ed25519(self):
        name = self.key(key_type="ed25519")
        text, raw = self.sign(name, b"message")
        public = base64.b64decode(self.read(name)["keys"]["1"]["public_key"])
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(raw, b"message")
        self.assertTrue(self.valid(name, b"message", text))
        self.assertFalse(self.valid(name, b"massage", text))

    def test_ecdsa(self):
        for kind, word, digest in (
            ("ecdsa-p256", None, hashes.SHA256()),
            ("ecdsa-p384", None, hashes.SHA256()),
            ("ecdsa-p384", "sha2-384", hashes.SHA384()),
            ("ecdsa-p521", "sha2-512", hashes.SHA512()),
        ):
            name = self.key(part=kind, key_type=kind)
            text, raw = self.sign(name, b"message", hash_algorithm=word)
            self.public(name).verify(raw, b"message", ec.ECDSA(digest))
            self.assertTrue(self.valid(name, b"message", text, hash_algorithm=word))
            self.assertFalse(self.valid(name, b"massage", text, hash_algorithm=word))

    def test_ecdsa_jws(self):
        name = self.key(key_type="ecdsa-p256")
        text = self.transit.sign_data(name, b64(b"message"), marshaling_algorithm="jws")["data"]["signature"]
        encoded = text.split(":")[2]
        raw = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        self.assertEqual(len(raw), 64)
        der = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        self.public(name).verify(der, b"message", ec.ECDSA(hashes.SHA256()))
        self.assertTrue(self.valid(name, b"message", text, marshaling_algorithm="jws"))

    def test_rsa(self):
        name = self.key(key_type="rsa-2048")
        public = self.public(name)
        digest = hashes.SHA256()
        longest = padding.PSS(padding.MGF1(digest), padding.PSS.MAX_LENGTH)
        short = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
        twenty = padding.PSS(padding.MGF1(digest), 20)
        for how, scheme in (
            ({}, longest),
            ({"salt_length": "auto"}, longest),
            ({"salt_length": "hash"}, short),
            ({"salt_length": "20"}, twenty),
            ({"signature_algorithm": "pkcs1v15"}, padding.PKCS1v15()),
        ):
            text, raw = self.sign(name, b"message", **how)
            public.verify(raw, b"message", scheme, digest)
            self.assertTrue(self.valid(name, b"message", text, **how))
            self.assertFalse(self.valid(name, b"massage", text, **how))
        with self.assertRaises(InvalidSignature):
            public.verify(raw, b"massage", scheme, digest)

    def test_prehashed(self):
        name = self.key(key_type="rsa-2048")
        digest = hashlib.sha512(b"message").digest()
        text, raw = self.sign(name, digest, prehashed=True, hash_algorithm="sha2-512", signature_algorithm="pkcs1v15")
        self.public(name).verify(raw, b"message", padding.PKCS1v15(), hashes.SHA512())
        how = {"hash_algorithm": "sha2-512", "signature_algorithm": "pkcs1v15"}
        self.assertTrue(self.valid(name, digest, text, prehashed=True, **how))
        self.assertTrue(self.valid(name, b"message", text, **how))
        with self.assertRaises(exceptions.InvalidRequest):
            self.sign(name, b"no digest", prehashed=True)

    def test_batch(self):
        name = self.key(key_type="ed25519")
        items = [{"input": b64(bytes([n])), "reference": str(n)} for n in range(20)]
        results = self.transit.sign_data(name, batch_input=items)["data"]["batch_results"]
        self.assertEqual([r["reference"] for r in results], [str(n) for n in range(20)])
        checks = [dict(item, signature=r["signature"]) for item, r in zip(items, results)]
        checks[3]["input"] = b64(b"other")
        checks[4]["signature"] = "nonsense"
        answer = self.client.adapter.post(f"/v1/transit/verify/{name}", json={"batch_input": checks})
        verdicts = answer["data"]["batch_results"]
        self.assertEqual([v.get("valid") for v in verdicts[:6]], [True, True, True, False, None, True])
        self.assertIn("error", verdicts[4])

    def test_versions(self):
        name = self.key(key_type="ed25519")
        old, _ = self.sign(name, b"message")
        self.transit.rotate_key(name)
        new, _ = self.sign(name, b"message")
        self.assertTrue(new.startswith("vault:v2:"))
        self.assertTrue(self.valid(name, b"message", old) and self.valid(name, b"message", new))
        self.assertFalse(self.valid(name, b"message", old.replace("v1", "v2")))
        self.transit.update_key_configuration(name, min_decryption_version=2)
        with self.assertRaises(exceptions.InvalidRequest):
            self.valid(name, b"message", old)

    def test_refused(self):
        with self.assertRaises(exceptions.InvalidRequest):
            self.sign(self.key(), b"an encryption key")
        with self.assertRaises(exceptions.InvalidRequest):
            self.sign("not-there", b"x")
        with self.assertRaises(exceptions.InvalidRequest):
            self.encrypt(self.key(part="signs", key_type="ed25519"), b"a signing key")


class Permissions(Transit):
    def test_only_what_the_scopes_say(self):
        for name in ("shared-one", "private-one"):
            self.transit.create_key(name)
        reader = client(READER).secrets.transit
        self.assertEqual(reader.read_key("shared-one")["data"]["name"], "shared-one")
        for forbidden in (
            lambda: reader.read_key("private-one"),
            lambda: reader.rotate_key("shared-one"),
            lambda: reader.encrypt_data("shared-one", plaintext=b64(b"x")),
            lambda: reader.encrypt_data("shared-one", batch_input=[{"plaintext": b64(b"x")}]),
            lambda: reader.delete_key("shared-one"),
            lambda: reader.export_key("shared-one", "encryption-key"),
            lambda: reader.create_key("shared-two"),
        ):
            with self.assertRaises(exceptions.Forbidden):
                forbidden()

    def test_nobody(self):
        for token in (None, "", "nonsense", ADMIN[:-4] + "AAAA"):
            with self.assertRaises(exceptions.Forbidden):
                client(token).secrets.transit.list_keys()


if __name__ == "__main__":
    unittest.main(verbosity=2)
