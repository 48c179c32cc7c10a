"""Scans TLS servers with sslyze, and tells what it found as JSON.

Standard input: a list of {"name", "port", "server_name", "start_tls"}; standard output: an object by name. Servers are on loopback. Each is
scanned by a scanner of its own, so that the time that it took can be told.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.hashes import SHA256
from sslyze import (
    ProtocolWithOpportunisticTlsEnum,
    ScanCommand,
    Scanner,
    ServerNetworkConfiguration,
    ServerNetworkLocation,
    ServerScanRequest,
)

# Servers at the same time. Most of them answer one connection after the other.
AT_ONCE = 4
START_TLS = {
    "ftp": ProtocolWithOpportunisticTlsEnum.FTP,
    "smtp": ProtocolWithOpportunisticTlsEnum.SMTP,
    "imap": ProtocolWithOpportunisticTlsEnum.IMAP,
}
VERSIONS = {
    "SSL 3.0": "ssl_3_0_cipher_suites",
    "TLS 1.0": "tls_1_0_cipher_suites",
    "TLS 1.1": "tls_1_1_cipher_suites",
    "TLS 1.2": "tls_1_2_cipher_suites",
    "TLS 1.3": "tls_1_3_cipher_suites",
}


def scan(server):
    """One server: versions with their suites, and the chain with its end."""
    request = ServerScanRequest(
        server_location=ServerNetworkLocation(hostname="localhost", port=server["port"], ip_address="127.0.0.1"),
        network_configuration=ServerNetworkConfiguration(
            tls_server_name_indication=server["server_name"],
            tls_opportunistic_encryption=START_TLS.get(server["start_tls"]),
        ),
        scan_commands={ScanCommand(command) for command in VERSIONS.values()}
        | {ScanCommand.CERTIFICATE_INFO, ScanCommand.ELLIPTIC_CURVES},
    )
    started = time.monotonic()
    scanner = Scanner(per_server_concurrent_connections_limit=2, concurrent_server_scans_limit=1)
    scanner.queue_scans([request])
    result = next(iter(scanner.get_results()))
    took = time.monotonic() - started
    if result.scan_result is None:
        return {"error": str(result.connectivity_error_trace or result.connectivity_status), "took": took}
    return {**told(result.scan_result), "took": took}


def told(result):
    suites = {}
    for version, command in VERSIONS.items():
        attempt = getattr(result, command)
        if attempt.result is None:
            return {"error": f"{version}: {attempt.error_trace or attempt.error_reason}"}
        suites[version] = [accepted.cipher_suite.name for accepted in attempt.result.accepted_cipher_suites]
    if result.certificate_info.result is None:
        return {"error": f"certificates: {result.certificate_info.error_trace or result.certificate_info.error_reason}"}
    chain = result.certificate_info.result.certificate_deployments[0].received_certificate_chain
    curves = result.elliptic_curves.result
    return {
        "suites": suites,
        "chain": [certificate.fingerprint(SHA256()).hex() for certificate in chain],
        "ends": chain[0].not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "curves": sorted(curve.name for curve in (curves.supported_curves or [])) if curves else [],
    }


def main():
    servers = json.load(sys.stdin)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip((server["name"] for server in servers), pool.map(scan, servers)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
