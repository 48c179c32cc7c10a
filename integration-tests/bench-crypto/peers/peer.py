"""RSA of Python's `cryptography` and Argon2id of `argon2-cffi`: CPU seconds an operation, as one line of JSON."""

import json
import time

from argon2 import PasswordHasher
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)


def cpu_of(times, work):
    for _ in range(times // 10):
        work()
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) / times


def main():
    decrypt, sign = [], []
    for bits in (2048, 3072):
        key = rsa.generate_private_key(65537, bits)
        ciphertext = key.public_key().encrypt(bytes(32), OAEP)
        times = 1_000_000 // bits
        decrypt.append((bits, cpu_of(times, lambda: key.decrypt(ciphertext, OAEP))))
        sign.append((bits, cpu_of(times, lambda: key.sign(bytes(32), PSS, hashes.SHA256()))))
    # The parameters are crypto-service's defaults.
    hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
    argon2 = cpu_of(30, lambda: hasher.hash("correct horse battery staple"))
    print(json.dumps({"decrypt": decrypt, "sign": sign, "argon2": argon2}))


main()
