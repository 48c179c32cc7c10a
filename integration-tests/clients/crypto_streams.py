"""Reads and writes encrypted files of crypto-service, with Python's cryptography and the specification alone (c2sp.org/chunked-encryption).

crypto_streams.py encrypt|decrypt KEY ASSOCIATED_DATA FROM TO, where KEY is Base64. Written files are of key version 1.
"""

import base64
import hmac
import os
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

CHUNK = 16 * 1024
HEAD = b"\x03\x00\x00\x00\x01"


def derive(key, salt, context):
    name = {16: b"AEAD_AES_128_GCM", 32: b"AEAD_AES_256_GCM"}[len(key)]
    info = b"c2sp.org/chunked-encryption@v1+" + name + b"\x00" + salt + context
    derived = HKDFExpand(hashes.SHA512(), len(key) + 12 + 32, info).derive(key)
    return AESGCM(derived[: len(key)]), int.from_bytes(derived[len(key) : -32], "big"), derived[-32:]


def nonce(base, number):
    return (base ^ number).to_bytes(12, "big")


def encrypt(key, context, plain):
    salt = os.urandom(24)
    cipher, base, commitment = derive(key, salt, context)
    count = len(plain) // CHUNK + 1
    chunks = (plain[number * CHUNK : (number + 1) * CHUNK] for number in range(count))
    sealed = (cipher.encrypt(nonce(base, number), chunk, None) for number, chunk in enumerate(chunks))
    return HEAD + salt + commitment + b"".join(sealed)


def decrypt(key, context, message):
    head, salt, commitment, sealed = message[:5], message[5:29], message[29:61], message[61:]
    if head != HEAD:
        raise ValueError("not a file of key version 1")
    cipher, base, expected = derive(key, salt, context)
    if not hmac.compare_digest(commitment, expected):
        raise ValueError("another key or context")
    size = CHUNK + 16
    chunks = [sealed[start : start + size] for start in range(0, len(sealed), size)]
    if not chunks or len(chunks[-1]) == size:
        raise ValueError("cut off")
    return b"".join(cipher.decrypt(nonce(base, number), chunk, None) for number, chunk in enumerate(chunks))


def main():
    direction, key, context, source, target = sys.argv[1:]
    with open(source, "rb") as file:
        data = file.read()
    work = {"encrypt": encrypt, "decrypt": decrypt}[direction]
    with open(target, "wb") as file:
        file.write(work(base64.b64decode(key), context.encode(), data))


main()
