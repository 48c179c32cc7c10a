//! The cipher suites that a server is asked for, and what each is worth.
//!
//! Properties are read from IANA's names, which say them all: `TLS_<key exchange>_WITH_<cipher>_<mac>`, and `TLS_<cipher>_<hash>` since TLS 1.3.

mod table;

use crate::report::{Severity, Version};

/// A suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Suite {
    /// IANA number.
    pub number: u16,
    /// IANA name.
    pub name: &'static str,
}

/// How the two sides come to a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyExchange {
    /// Of TLS 1.3, where the suite does not say: fresh keys always.
    Any,
    /// Elliptic curves with fresh keys.
    Ecdhe,
    /// Finite fields with fresh keys.
    Dhe,
    /// The certificate's own key, on a curve.
    StaticEcdh,
    /// The certificate's own key, in a finite field.
    StaticDh,
    /// Encrypted to the certificate's RSA key.
    Rsa,
    /// A key that both have.
    Psk,
    /// A password that both have.
    Srp,
}

/// How data is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cipher {
    /// It is not.
    Null,
    /// RC4.
    Rc4,
    /// RC2 of 40 or 56 bits.
    Rc2,
    /// DES, with export's 40 bits too.
    Des,
    /// 3DES.
    TripleDes,
    /// IDEA.
    Idea,
    /// SEED.
    Seed,
    /// AES.
    Aes,
    /// CAMELLIA.
    Camellia,
    /// ARIA.
    Aria,
    /// `ChaCha20`.
    ChaCha20,
}

/// How data is kept from being changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// By the cipher itself: GCM, CCM or Poly1305.
    Aead,
    /// HMAC with MD5.
    Md5,
    /// HMAC with SHA-1.
    Sha1,
    /// HMAC with SHA-256.
    Sha256,
    /// HMAC with SHA-384.
    Sha384,
}

impl Suite {
    /// The suite of a number, if it is one of those that are asked for.
    pub fn by_number(number: u16) -> Option<Self> {
        table::SUITES.iter().copied().find(|suite| suite.number == number)
    }

    /// The suite of a name, if it is one of those that are asked for.
    pub fn by_name(name: &str) -> Option<Self> {
        table::SUITES.iter().copied().find(|suite| suite.name == name)
    }

    /// What stands before `_WITH_` and after it.
    fn parts(self) -> (&'static str, &'static str) {
        self.name.split_once("_WITH_").unwrap_or(("", self.name))
    }

    /// How the two sides come to a shared secret.
    pub fn key_exchange(self) -> KeyExchange {
        match self.parts().0 {
            "" => KeyExchange::Any,
            words if words.starts_with("TLS_ECDHE") || words == "TLS_ECDH_anon" => KeyExchange::Ecdhe,
            words if words.starts_with("TLS_DHE") || words.starts_with("TLS_DH_anon") => KeyExchange::Dhe,
            words if words.starts_with("TLS_ECDH_") => KeyExchange::StaticEcdh,
            words if words.starts_with("TLS_DH_") => KeyExchange::StaticDh,
            words if words.starts_with("TLS_PSK") => KeyExchange::Psk,
            words if words.starts_with("TLS_SRP") => KeyExchange::Srp,
            _ => KeyExchange::Rsa,
        }
    }

    /// Whether what was recorded stays secret when the server's long-lived key is lost.
    pub fn has_forward_secrecy(self) -> bool {
        matches!(
            self.key_exchange(),
            KeyExchange::Any | KeyExchange::Ecdhe | KeyExchange::Dhe | KeyExchange::Srp
        )
    }

    /// Whether nobody shows a certificate, nor any other proof.
    pub fn is_anonymous(self) -> bool {
        self.name.contains("_anon_")
    }

    /// Whether it was made weak for export.
    pub fn is_export(self) -> bool {
        self.name.contains("_EXPORT")
    }

    /// Whether both sides need a secret that they have from elsewhere.
    pub fn is_preshared(self) -> bool {
        self.name.contains("PSK") || self.name.contains("_SRP_")
    }

    /// How data is encrypted.
    pub fn cipher(self) -> Cipher {
        let words = self.parts().1.trim_start_matches("TLS_");
        let cipher = |name: &str| words.starts_with(name);
        match () {
            () if cipher("AES") => Cipher::Aes,
            () if cipher("CHACHA20") => Cipher::ChaCha20,
            () if cipher("CAMELLIA") => Cipher::Camellia,
            () if cipher("ARIA") => Cipher::Aria,
            () if cipher("3DES") => Cipher::TripleDes,
            () if cipher("DES") => Cipher::Des,
            () if cipher("RC4") => Cipher::Rc4,
            () if cipher("RC2") => Cipher::Rc2,
            () if cipher("IDEA") => Cipher::Idea,
            () if cipher("SEED") => Cipher::Seed,
            () => Cipher::Null,
        }
    }

    /// Bits of its strength: 112 for 3DES, whose key has 168.
    pub fn bits(self) -> u32 {
        let words = self.parts().1;
        match self.cipher() {
            Cipher::Null => 0,
            Cipher::TripleDes => 112,
            Cipher::ChaCha20 => 256,
            Cipher::Des if words.contains("DES40") => 40,
            Cipher::Des => 56,
            Cipher::Rc4 | Cipher::Rc2 if words.contains("_40") => 40,
            Cipher::Rc4 | Cipher::Rc2 if words.contains("_56") => 56,
            Cipher::Aes | Cipher::Camellia | Cipher::Aria if words.contains("_256") => 256,
            Cipher::Aes
            | Cipher::Camellia
            | Cipher::Aria
            | Cipher::Rc4
            | Cipher::Rc2
            | Cipher::Idea
            | Cipher::Seed => 128,
        }
    }

    /// How data is kept from being changed.
    pub fn integrity(self) -> Integrity {
        let words = self.parts().1;
        match () {
            () if ["_GCM_", "_CCM", "POLY1305"].iter().any(|mode| words.contains(mode)) => Integrity::Aead,
            () if words.ends_with("_MD5") => Integrity::Md5,
            () if words.ends_with("_SHA384") => Integrity::Sha384,
            () if words.ends_with("_SHA256") => Integrity::Sha256,
            () => Integrity::Sha1,
        }
    }

    /// Whether the cipher runs in CBC mode, which every version before TLS 1.3 used in a way that leaks by its timing.
    pub fn is_cbc(self) -> bool {
        self.name.contains("_CBC_")
    }

    /// Whether a hello of this version may name it. Authenticated encryption and hashes of the SHA-2 family came with TLS 1.2, but for suites with a shared key (RFC 5487, RFC 5489).
    pub fn is_for(self, version: Version) -> bool {
        let is_of_tls13 = self.key_exchange() == KeyExchange::Any;
        let needs_tls12 = match self.integrity() {
            Integrity::Aead => true,
            Integrity::Sha256 | Integrity::Sha384 => !self.name.contains("PSK"),
            Integrity::Md5 | Integrity::Sha1 => false,
        };
        match version {
            Version::Tls13 => is_of_tls13,
            Version::Tls12 => !is_of_tls13,
            Version::Ssl30 | Version::Tls10 | Version::Tls11 => !is_of_tls13 && !needs_tls12,
        }
    }

    /// How much it matters that a server takes it.
    pub fn severity(self) -> Severity {
        let cipher = self.cipher();
        let is_open = cipher == Cipher::Null || self.is_anonymous() || self.is_export();
        if is_open || matches!(cipher, Cipher::Rc4 | Cipher::Rc2 | Cipher::Des) {
            return Severity::Critical;
        }
        let is_old = matches!(cipher, Cipher::TripleDes | Cipher::Idea | Cipher::Seed);
        if is_old || !self.has_forward_secrecy() {
            return Severity::Warning;
        }
        if self.is_cbc() { Severity::Note } else { Severity::Good }
    }
}

/// The suites that a hello of this version may name, those that servers take most often first.
pub fn suites_for(version: Version) -> Vec<Suite> {
    let (tls13, older) = table::SUITES.split_at(table::TLS13_SUITES);
    let of_version = if version == Version::Tls13 { tls13 } else { older };
    of_version.iter().copied().filter(|suite| suite.is_for(version)).collect()
}

#[cfg(test)]
#[path = "suites_tests.rs"]
mod tests;
