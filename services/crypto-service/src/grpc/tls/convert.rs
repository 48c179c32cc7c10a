//! Reports of the probe in the words of the interface.

use crate::error::Error;
use jiff::Timestamp;
use patchbay_proto::crypto::v1 as pb;
use patchbay_tls_probe::report::{
    Certificate, Chain, Failure, Finding, Negotiated, OcspStaple, ProtocolSupport, Report, Severity,
    StartTls, Suite, Version,
};
use std::time::Duration;

/// How a connection shall become TLS; none is by the port.
pub(super) fn start_tls_of(value: i32) -> Result<Option<StartTls>, Error> {
    match pb::StartTls::try_from(value) {
        Ok(pb::StartTls::Unspecified) => Ok(None),
        Ok(pb::StartTls::None) => Ok(Some(StartTls::None)),
        Ok(pb::StartTls::Ftp) => Ok(Some(StartTls::Ftp)),
        Ok(pb::StartTls::Smtp) => Ok(Some(StartTls::Smtp)),
        Ok(pb::StartTls::Imap) => Ok(Some(StartTls::Imap)),
        Err(_) => Err(Error::bad("start_tls", "is none that is known; see StartTls")),
    }
}

/// What was found.
pub(super) fn report(found: Report) -> pb::ProbeResponse {
    pb::ProbeResponse {
        host: found.host,
        port: found.port.into(),
        address: found.address.map(|address| address.ip().to_string()).unwrap_or_default(),
        start_tls: start_tls(found.start_tls).into(),
        server_name: found.server_name,
        failure: found.failure.map_or(pb::ProbeFailure::Unspecified, failure).into(),
        failure_message: found.failure_message,
        protocols: found.protocols.iter().map(protocol).collect(),
        groups: found.groups.into_iter().map(str::to_owned).collect(),
        alpn: found.alpn,
        negotiated: found.negotiated.map(negotiated),
        chain: found.chain.map(chain),
        grade: found.grade.map(|grade| grade.to_string()).unwrap_or_default(),
        findings: found.findings.into_iter().map(finding).collect(),
        took: Some(duration(found.took)),
        connections: found.connections,
        incomplete: found.incomplete,
    }
}

/// Certificates, judged.
pub(super) fn chain(judged: Chain) -> pb::CertificateChain {
    pb::CertificateChain {
        certificates: judged.certificates.into_iter().map(certificate).collect(),
        is_in_order: judged.is_in_order,
        is_trusted: judged.is_trusted,
        root: judged.root,
        problems: judged.problems.into_iter().map(finding).collect(),
        ocsp: Some(staple(&judged.ocsp)),
    }
}

fn certificate(read: Certificate) -> pb::Certificate {
    pb::Certificate {
        subject: read.subject,
        issuer: read.issuer,
        serial: read.serial,
        alternative_names: read.alternative_names,
        not_before: Some(timestamp(read.not_before)),
        not_after: Some(timestamp(read.not_after)),
        days_left: read.days_left,
        key_type: read.key_type,
        key_bits: read.key_bits,
        signature_algorithm: read.signature_algorithm,
        sha256: read.sha256,
        public_key_sha256: read.public_key_sha256,
        is_ca: read.is_ca,
        is_self_signed: read.is_self_signed,
        ocsp_urls: read.ocsp_urls,
        sct_count: read.sct_count,
        must_staple: read.must_staple,
        pem: read.pem,
    }
}

fn staple(staple: &OcspStaple) -> pb::OcspStaple {
    pb::OcspStaple {
        is_stapled: staple.is_stapled,
        status: staple.status.map(|status| status.to_string()).unwrap_or_default(),
        this_update: staple.this_update.map(timestamp),
        next_update: staple.next_update.map(timestamp),
    }
}

fn protocol(support: &ProtocolSupport) -> pb::ProtocolSupport {
    pb::ProtocolSupport {
        version: version(support.version).into(),
        is_supported: support.is_supported,
        suites: support.suites.iter().map(suite).collect(),
        has_server_order: support.has_server_order,
    }
}

fn suite(suite: &Suite) -> pb::CipherSuite {
    pb::CipherSuite {
        name: suite.name.to_owned(),
        number: suite.number.into(),
        severity: severity(suite.severity).into(),
    }
}

fn negotiated(negotiated: Negotiated) -> pb::Negotiated {
    pb::Negotiated {
        version: version(negotiated.version).into(),
        suite: negotiated.suite,
        group: negotiated.group,
        alpn: negotiated.alpn,
    }
}

fn finding(finding: Finding) -> pb::Finding {
    pb::Finding {
        severity: severity(finding.severity).into(),
        code: finding.code.to_owned(),
        message: finding.message,
        caps_at: finding.caps_at.map(|grade| grade.to_string()).unwrap_or_default(),
    }
}

fn severity(severity: Severity) -> pb::Severity {
    match severity {
        Severity::Good => pb::Severity::Unspecified,
        Severity::Note => pb::Severity::Note,
        Severity::Warning => pb::Severity::Warning,
        Severity::Critical => pb::Severity::Critical,
    }
}

fn version(version: Version) -> pb::TlsVersion {
    match version {
        Version::Ssl30 => pb::TlsVersion::Ssl30,
        Version::Tls10 => pb::TlsVersion::Tls10,
        Version::Tls11 => pb::TlsVersion::Tls11,
        Version::Tls12 => pb::TlsVersion::Tls12,
        Version::Tls13 => pb::TlsVersion::Tls13,
    }
}

fn start_tls(start_tls: StartTls) -> pb::StartTls {
    match start_tls {
        StartTls::None => pb::StartTls::None,
        StartTls::Ftp => pb::StartTls::Ftp,
        StartTls::Smtp => pb::StartTls::Smtp,
        StartTls::Imap => pb::StartTls::Imap,
    }
}

fn failure(failure: Failure) -> pb::ProbeFailure {
    match failure {
        Failure::NameNotFound => pb::ProbeFailure::NameNotFound,
        Failure::ConnectionRefused => pb::ProbeFailure::ConnectionRefused,
        Failure::Unreachable => pb::ProbeFailure::Unreachable,
        Failure::TimedOut => pb::ProbeFailure::TimedOut,
        Failure::ConnectionClosed => pb::ProbeFailure::ConnectionClosed,
        Failure::NotTls => pb::ProbeFailure::NotTls,
        Failure::StartTlsRefused => pb::ProbeFailure::StartTlsRefused,
        Failure::HandshakeRefused => pb::ProbeFailure::HandshakeRefused,
    }
}

fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

fn duration(took: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(took.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: i32::try_from(took.subsec_nanos()).unwrap_or_default() }
}
