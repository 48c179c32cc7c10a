use super::*;
use crate::keyring::KeyType;

fn backup(versions: usize, material: usize, chain: usize) -> Backup {
    let most = u32::MAX;
    let header = Header {
        id: Header::new_id().unwrap(),
        key_type: KeyType::Aes256GcmSivConvergent,
        latest: most,
        min_decryption: most,
        min_encryption: most,
        min_available: most,
        deletion_allowed: false,
        exportable: false,
        plaintext_backup_allowed: false,
        imported: false,
        disabled: false,
        auto_rotate: u64::MAX,
        created: u64::MAX,
        rotated_at: u64::MAX,
        hmac_size: most,
        root: "f".repeat(32),
    };
    let version = |_| BackedUp {
        number: most,
        created: u64::MAX,
        encryptions: u64::MAX,
        material: Secret::new(vec![7; material]),
        certificate: (chain > 0).then(|| "\n".repeat(chain)),
    };
    Backup { format: FORMAT, name: "k".repeat(128), header, versions: (0..versions).map(version).collect() }
}

/// A buffer that had to grow would leave material behind that nobody overwrites. The longest is ML-DSA's expanded form.
#[test]
fn a_backup_is_written_into_the_room_that_it_was_given() {
    for (versions, material, chain) in
        [(0, 0, 0), (1, 32, 0), (1, 4100, 0), (100, 4100, 0), (3, 4101, 9000), (9, 1, 1)]
    {
        let backup = backup(versions, material, chain);
        let (written, room) = (write(&backup).unwrap().expose().len(), room(&backup));
        assert!(written <= room, "{written} bytes in {room}: {versions} versions of {material} and {chain}");
    }
}
