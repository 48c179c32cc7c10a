//! The staples are made by `openssl ocsp`, as a responder would.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::{
    certificate::{Parsed, split},
    chain::{Roots, judge},
    report::{Chain, Grade, OcspStatus},
    test_authority::{NAME, openssl},
};

/// An authority with two servers: serial 1 is good, serial 2 is revoked.
struct World {
    folder: TempDir,
    roots: Roots,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(
            path.join("names"),
            format!("subjectAltName=DNS:{NAME}\n[delegate]\nextendedKeyUsage=OCSPSigning\n"),
        )
        .unwrap();
        openssl(
            path,
            "req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout ca.key -out ca.pem -days 90 -subj /CN=Root",
        );
        for (name, serial) in [("good", 1), ("revoked", 2), ("delegate", 3), ("stranger", 4)] {
            openssl(
                path,
                &format!(
                    "req -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout {name}.key -out {name}.csr -subj /CN={name}"
                ),
            );
            let extensions = if name == "delegate" { "-extensions delegate" } else { "" };
            openssl(
                path,
                &format!(
                    "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -set_serial {serial} -days 80 -extfile names {extensions} -out {name}.pem"
                ),
            );
        }
        std::fs::write(path.join("index"), "V\t491231235959Z\t\t01\tunknown\t/CN=good\nR\t491231235959Z\t260101000000Z,keyCompromise\t02\tunknown\t/CN=revoked\n").unwrap();
        let roots = Roots::none().and(&std::fs::read(path.join("ca.pem")).unwrap()).unwrap();
        let own = load(path, "good");
        let now = Parsed::read(&own).unwrap().not_before() + SignedDuration::from_mins(5);
        Self { folder, roots, now }
    }

    fn staple(&self, name: &str, signer: &str) -> Vec<u8> {
        let path = self.folder.path();
        openssl(
            path,
            &format!(
                "ocsp -index index -CA ca.pem -rsigner {signer}.pem -rkey {signer}.key -issuer ca.pem -cert {name}.pem -ndays 3 -respout {name}.ocsp"
            ),
        );
        std::fs::read(path.join(format!("{name}.ocsp"))).unwrap()
    }

    fn judge(&self, name: &str, staple: &[u8]) -> Chain {
        judge(&[load(self.folder.path(), name)], Some(staple), NAME, self.now, &self.roots)
    }
}

fn load(folder: &Path, name: &str) -> Vec<u8> {
    split(&std::fs::read(folder.join(format!("{name}.pem"))).unwrap()).unwrap().remove(0)
}

fn codes(chain: &Chain) -> Vec<&'static str> {
    chain.problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn staples_are_read_and_checked() {
    let world = World::new();
    let staple = world.staple("good", "ca");
    let good = world.judge("good", &staple);
    assert_eq!(
        (good.ocsp.status, good.ocsp.is_verified, codes(&good)),
        (Some(OcspStatus::Good), true, vec![])
    );
    let (from, until) = (good.ocsp.this_update.unwrap(), good.ocsp.next_update.unwrap());
    assert_eq!(until.as_second() - from.as_second(), 3 * 24 * 60 * 60);
    let with_issuer_sent = judge(
        &[load(world.folder.path(), "good"), load(world.folder.path(), "ca")],
        Some(&staple),
        NAME,
        world.now,
        &Roots::public(),
    );
    assert!(with_issuer_sent.ocsp.is_verified, "the issuer that was sent will do, trusted or not");
    let unknown_issuer =
        judge(&[load(world.folder.path(), "good")], Some(&staple), NAME, world.now, &Roots::public());
    assert!(!unknown_issuer.ocsp.is_verified && codes(&unknown_issuer).contains(&"OCSP_NOT_CHECKED"));

    let revoked = world.judge("revoked", &world.staple("revoked", "ca"));
    assert_eq!(
        (revoked.ocsp.status, revoked.is_trusted, codes(&revoked)),
        (Some(OcspStatus::Revoked), false, vec!["CERTIFICATE_REVOKED"])
    );
    assert_eq!(revoked.problems[0].caps_at, Some(Grade::F));
    assert_eq!(
        world.judge("stranger", &world.staple("stranger", "ca")).ocsp.status,
        Some(OcspStatus::Unknown)
    );
}

#[test]
fn only_the_issuer_and_whom_it_named_may_sign() {
    let world = World::new();
    let delegated = world.judge("good", &world.staple("good", "delegate"));
    assert_eq!((delegated.ocsp.status, delegated.ocsp.is_verified), (Some(OcspStatus::Good), true));
    let by_stranger = world.judge("good", &world.staple("good", "stranger"));
    assert_eq!(
        (by_stranger.ocsp.status, codes(&by_stranger)),
        (Some(OcspStatus::Unreadable), vec!["OCSP_UNREADABLE"])
    );
    assert!(by_stranger.problems[0].message.contains("signature is wrong"));
}

#[test]
fn staples_that_are_of_no_use_are_told() {
    let world = World::new();
    let staple = world.staple("good", "ca");
    let another = world.judge("revoked", &staple);
    assert!(another.problems[0].message.contains("another certificate"), "{:?}", another.problems);
    assert_eq!(
        world.judge("good", &[0x30, 3, 0x0a, 1, 3]).problems[0].message.matches("try later").count(),
        1
    );
    let late = judge(
        &[load(world.folder.path(), "good")],
        Some(&staple),
        NAME,
        world.now + SignedDuration::from_hours(24 * 4),
        &world.roots,
    );
    assert_eq!(codes(&late), ["OCSP_EXPIRED"]);
    for at in 40..140 {
        let mut changed = staple.clone();
        changed[at] ^= 1;
        assert!(!world.judge("good", &changed).ocsp.is_verified, "changed at {at}");
    }
    for end in 0..staple.len() {
        assert!(!world.judge("good", &staple[..end]).ocsp.is_verified, "cut at {end}");
    }
}
