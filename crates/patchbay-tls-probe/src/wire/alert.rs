//! Alerts, by IANA's names.

use std::fmt;

/// What a server says when it will not go on (RFC 8446, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// 1 for a warning, 2 for the end.
    pub level: u8,
    /// What it is about.
    pub description: u8,
}

impl Alert {
    /// The version that was offered is not spoken.
    pub const PROTOCOL_VERSION: u8 = 70;
    /// The name that was asked for is not known: a warning with some servers, which go on after it (RFC 6066, section 3).
    pub const UNRECOGNIZED_NAME: u8 = 112;

    /// Whether a server goes on after it.
    pub fn is_warning(self) -> bool {
        self.level == 1 && self.description != 0
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.description {
            0 => "close_notify",
            10 => "unexpected_message",
            20 => "bad_record_mac",
            21 => "decryption_failed",
            22 => "record_overflow",
            30 => "decompression_failure",
            40 => "handshake_failure",
            41 => "no_certificate",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            60 => "export_restriction",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            86 => "inappropriate_fallback",
            90 => "user_canceled",
            100 => "no_renegotiation",
            109 => "missing_extension",
            110 => "unsupported_extension",
            111 => "certificate_unobtainable",
            112 => "unrecognized_name",
            113 => "bad_certificate_status_response",
            114 => "bad_certificate_hash_value",
            115 => "unknown_psk_identity",
            116 => "certificate_required",
            120 => "no_application_protocol",
            121 => "ech_required",
            other => return write!(out, "alert {other}"),
        };
        out.write_str(name)
    }
}
