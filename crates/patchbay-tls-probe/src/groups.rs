//! The groups for key exchange that a server is asked for, by IANA's numbers and names.

/// A group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Group {
    /// IANA number.
    pub number: u16,
    /// IANA name.
    pub name: &'static str,
}

const fn group(number: u16, name: &'static str) -> Group {
    Group { number, name }
}

impl Group {
    /// The group of a number, if it is one of those that are asked for.
    pub fn by_number(number: u16) -> Option<Self> {
        GROUPS.iter().copied().find(|group| group.number == number)
    }

    /// Whether TLS 1.2 and older have it: curves, whose numbers are those of RFC 8422. Finite fields (RFC 7919) are taken with other suites there and are not asked for.
    pub fn is_for_tls12(self) -> bool {
        self.number <= X448
    }

    /// Whether TLS 1.3 has it (RFC 8446, section 4.2.7, RFC 8734 and later).
    pub fn is_for_tls13(self) -> bool {
        matches!(self.number, 23..=25 | X25519 | X448) || self.number > X448
    }
}

/// X25519.
pub const X25519: u16 = 29;
/// X448, the last of the curves of TLS 1.2.
const X448: u16 = 30;

/// All that are asked for, those that servers take most often first.
pub static GROUPS: &[Group] = &[
    group(4588, "X25519MLKEM768"),
    group(4587, "SecP256r1MLKEM768"),
    group(4589, "SecP384r1MLKEM1024"),
    group(X25519, "x25519"),
    group(23, "secp256r1"),
    group(24, "secp384r1"),
    group(25, "secp521r1"),
    group(X448, "x448"),
    group(256, "ffdhe2048"),
    group(257, "ffdhe3072"),
    group(258, "ffdhe4096"),
    group(259, "ffdhe6144"),
    group(260, "ffdhe8192"),
    group(512, "MLKEM512"),
    group(513, "MLKEM768"),
    group(514, "MLKEM1024"),
    group(25497, "X25519Kyber768Draft00"),
    group(31, "brainpoolP256r1tls13"),
    group(32, "brainpoolP384r1tls13"),
    group(33, "brainpoolP512r1tls13"),
    group(41, "curveSM2"),
    group(26, "brainpoolP256r1"),
    group(27, "brainpoolP384r1"),
    group(28, "brainpoolP512r1"),
    group(22, "secp256k1"),
    group(14, "sect571r1"),
    group(13, "sect571k1"),
    group(12, "sect409r1"),
    group(11, "sect409k1"),
    group(10, "sect283r1"),
    group(9, "sect283k1"),
    group(8, "sect239k1"),
    group(7, "sect233r1"),
    group(6, "sect233k1"),
    group(21, "secp224r1"),
    group(20, "secp224k1"),
    group(5, "sect193r2"),
    group(4, "sect193r1"),
    group(19, "secp192r1"),
    group(18, "secp192k1"),
    group(3, "sect163r2"),
    group(2, "sect163r1"),
    group(1, "sect163k1"),
    group(17, "secp160r2"),
    group(16, "secp160r1"),
    group(15, "secp160k1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_of_their_versions() {
        let of = |name: &str| *GROUPS.iter().find(|group| group.name == name).unwrap();
        for (name, tls12, tls13) in [
            ("x25519", true, true),
            ("secp256r1", true, true),
            ("secp521r1", true, true),
            ("x448", true, true),
            ("secp256k1", true, false),
            ("brainpoolP256r1", true, false),
            ("brainpoolP256r1tls13", false, true),
            ("ffdhe2048", false, true),
            ("X25519MLKEM768", false, true),
        ] {
            assert_eq!((of(name).is_for_tls12(), of(name).is_for_tls13()), (tls12, tls13), "{name}");
        }
        assert_eq!(Group::by_number(29), Some(of("x25519")));
    }
}
