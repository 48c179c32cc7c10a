//! G.711 (ITU-T): samples of 16 bits, and the two ways to put them into 8.
//!
//! Both keep the sign, the number of the segment (the place of the highest bit) and four bits after it. A-law works on samples of 13 bits,
//! mu-law on samples of 14 bits that a bias of 33 was added to.

/// Flipped in A-law codes, so that silence does not look like a dead line.
const A_FLIP: u8 = 0x55;
/// The bias of mu-law, on the scale of 16 bits.
const MU_BIAS: i16 = 132;
/// Largest magnitude in mu-law, on the scale of 16 bits.
const MU_MAX: u16 = 32_635;

static A_LAW: [i16; 256] = a_law_table();
static MU_LAW: [i16; 256] = mu_law_table();

/// The linear sample of an A-law code.
pub fn decode_a_law(code: u8) -> i16 {
    A_LAW.get(usize::from(code)).copied().unwrap_or_default()
}

/// The linear sample of a mu-law code.
pub fn decode_mu_law(code: u8) -> i16 {
    MU_LAW.get(usize::from(code)).copied().unwrap_or_default()
}

/// The A-law code nearest to a linear sample.
pub fn encode_a_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    // The negative half starts at -1, which has magnitude 0.
    let magnitude = if sample < 0 { !sample } else { sample }.unsigned_abs() >> 4;
    let segment = (16 - magnitude.leading_zeros()).saturating_sub(4);
    let mantissa = magnitude >> segment.saturating_sub(1) & 0x0f;
    (sign | low(segment) << 4 | low(u32::from(mantissa))) ^ A_FLIP
}

/// The mu-law code nearest to a linear sample.
pub fn encode_mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(MU_MAX) + MU_BIAS.unsigned_abs();
    let segment = (16 - magnitude.leading_zeros()).saturating_sub(8);
    let mantissa = magnitude >> (segment + 3) & 0x0f;
    !(sign | low(segment) << 4 | low(u32::from(mantissa)))
}

fn low(value: u32) -> u8 {
    u8::try_from(value & 0x0f).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "a constant table; casts are all that is const")]
const fn a_law_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let plain = code as u8 ^ A_FLIP;
        let (segment, mantissa) = (plain >> 4 & 7, (plain & 0x0f) as i16);
        let magnitude = match segment {
            0 => mantissa << 4 | 8,
            _ => (mantissa << 4 | 0x108) << (segment - 1),
        };
        table[code] = if plain & 0x80 == 0 { -magnitude } else { magnitude };
        code += 1;
    }
    table
}

#[expect(clippy::cast_possible_truncation, reason = "a constant table; casts are all that is const")]
const fn mu_law_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let plain = !(code as u8);
        let (segment, mantissa) = (plain >> 4 & 7, (plain & 0x0f) as i16);
        let magnitude = ((mantissa << 3 | MU_BIAS) << segment) - MU_BIAS;
        table[code] = if plain & 0x80 == 0 { magnitude } else { -magnitude };
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_standard() {
        assert_eq!(
            (decode_a_law(0xd5), decode_a_law(0x55), decode_a_law(0xaa), decode_a_law(0x2a)),
            (8, -8, 32256, -32256)
        );
        assert_eq!(
            (decode_mu_law(0xff), decode_mu_law(0x7f), decode_mu_law(0x80), decode_mu_law(0)),
            (0, 0, 32124, -32124)
        );
    }

    #[test]
    fn codes_come_back() {
        for code in 0..=u8::MAX {
            assert_eq!(encode_a_law(decode_a_law(code)), code);
            // There are two codes for zero.
            let back = encode_mu_law(decode_mu_law(code));
            assert!(back == code || (code, back) == (0x7f, 0xff), "{code}");
        }
    }

    /// A code's step is the distance between its neighbours; no sample is further from what it becomes than half of one.
    #[test]
    fn every_sample_comes_close() {
        for sample in i16::MIN..=i16::MAX {
            let (a, mu) = (decode_a_law(encode_a_law(sample)), decode_mu_law(encode_mu_law(sample)));
            let magnitude = i32::from(sample.unsigned_abs());
            let error = |decoded: i16| (i32::from(decoded) - i32::from(sample)).abs();
            assert!(error(a) <= 8.max(magnitude / 32 + 1), "A-law {sample} {a}");
            assert!(
                error(mu) <= 4.max((magnitude + 132) / 32 + 1) || magnitude > 32_635,
                "mu-law {sample} {mu}"
            );
        }
    }
}
