//! Profiles of H.264 as `profile-level-id` writes them (RFC 6184, section 8.1).

/// What a decoder must be able to do. The level is left out: it only bounds picture size and rate, and asymmetric levels are usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// What every browser decodes.
    ConstrainedBaseline,
    /// With slice groups, which few decode; a decoder of it decodes the constrained one too.
    Baseline,
    /// Main.
    Main,
    /// Extended.
    Extended,
    /// High.
    High,
    /// High without interlacing and B pictures.
    ConstrainedHigh,
    /// Another: `profile_idc` and the constraint flags.
    Other(u8, u8),
}

impl Profile {
    /// Reads six hexadecimal digits. None when they are not.
    pub(super) fn read(digits: &str) -> Option<Self> {
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let [_, profile, constraints, _level] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self::of(profile, constraints))
    }

    /// RFC 6184, table 5: one profile is written in several ways.
    fn of(profile: u8, constraints: u8) -> Self {
        let flag = |place: u8| constraints & (0x80 >> place) != 0;
        match profile {
            66 if flag(1) => Self::ConstrainedBaseline,
            66 => Self::Baseline,
            77 if flag(0) => Self::ConstrainedBaseline,
            77 => Self::Main,
            88 if flag(0) && flag(1) => Self::ConstrainedBaseline,
            88 if flag(0) => Self::Baseline,
            88 => Self::Extended,
            100 if flag(4) && flag(5) => Self::ConstrainedHigh,
            100 => Self::High,
            _ => Self::Other(profile, constraints),
        }
    }

    /// How well a payload type of this profile does for a stream of another; less is better.
    pub(super) fn distance(self, stream: Option<Self>) -> u8 {
        match (self, stream) {
            (own, Some(stream)) if own == stream => 0,
            (_, None) => 0,
            (Self::ConstrainedBaseline, _) => 1,
            (Self::Baseline, _) => 2,
            (Self::Main, _) => 3,
            _ => 4,
        }
    }
}
