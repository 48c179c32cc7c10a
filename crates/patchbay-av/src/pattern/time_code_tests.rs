use super::*;
use crate::PictureSize;

#[test]
fn the_layout_is_as_published() {
    let code = TimeCode { unix_ms: 0x0192_3456_789A, number: 0xBCDE };
    let mut canvas = crate::PicturePool::new(PictureSize::new(640, 480).unwrap()).take().unwrap();
    code.draw(&mut canvas);
    let picture = canvas.finish();
    let (light, stride) = (picture.plane(Plane::Y), picture.stride(Plane::Y));
    let read: String = (0..80)
        .map(|block| if light[(block / 40 * 8 + 4) * stride + block % 40 * 8 + 4] == 235 { '1' } else { '0' })
        .collect();
    let golden = "10110010".to_owned()
        + "000000011001001000110100010101100111100010011010"
        + "1011110011011110"
        + &format!("{:08b}", crc8(&[0x01, 0x92, 0x34, 0x56, 0x78, 0x9A, 0xBC, 0xDE]));
    assert_eq!(read, golden);
    assert_eq!(TimeCode::read(&picture), Some(code));
}

#[test]
fn the_check_is_the_common_crc8() {
    assert_eq!(crc8(b"123456789"), 0xF4, "the check value that catalogues give for CRC-8");
}

#[test]
fn one_wrong_block_is_noticed() {
    let bytes = TimeCode { unix_ms: 1_790_000_000_123, number: 7 }.bytes();
    for index in 0..80 {
        let mut wrong = bytes;
        wrong[index / 8] ^= 0x80 >> (index % 8);
        assert_eq!(TimeCode::from_bytes(wrong), None, "block {index}");
    }
}

#[test]
fn small_or_plain_pictures_have_none() {
    assert_eq!(TimeCode::read(&Picture::black(PictureSize::new(160, 120).unwrap()).unwrap()), None);
    assert_eq!(TimeCode::read(&Picture::black(PictureSize::new(640, 480).unwrap()).unwrap()), None);
}
