use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
    date_time_ymd,
};

use super::{Roots, judge};
use crate::{
    certificate::{MAX_CERTIFICATES, split},
    report::{Chain, Grade},
    test_authority::{Authority, NAME, authority, openssl, server, server_for, today},
};

/// A root, an intermediate under it, and what is trusted.
struct World {
    root: Authority,
    middle: Authority,
    roots: Roots,
}

impl World {
    fn new() -> Self {
        let root = Authority::root("Root");
        let middle = root.under("Intermediate");
        let roots = root.roots();
        Self { root, middle, roots }
    }

    fn chain(&self, params: &CertificateParams) -> Vec<Vec<u8>> {
        vec![self.middle.sign(params), self.middle.der()]
    }

    fn judge(&self, chain: &[Vec<u8>]) -> Chain {
        judge(chain, None, NAME, today(), &self.roots)
    }
}

fn codes(chain: &Chain) -> Vec<&'static str> {
    chain.problems.iter().map(|problem| problem.code).collect()
}

fn cap(chain: &Chain) -> Option<Grade> {
    chain.problems.iter().filter_map(|problem| problem.caps_at).max()
}

#[test]
fn a_good_chain_has_no_problem() {
    let world = World::new();
    let chain = world.judge(&world.chain(&server()));
    assert!(chain.is_trusted && chain.is_in_order);
    assert_eq!((codes(&chain), chain.root.as_str()), (vec![], "CN=Root"));
    assert_eq!(chain.certificates.len(), 2);
    let untrusted = judge(&world.chain(&server()), None, NAME, today(), &Roots::public());
    assert!(!untrusted.is_trusted, "the public roots do not have it");
}

#[test]
fn dates_are_looked_at() {
    let world = World::new();
    let mut params = server();
    params.not_after = date_time_ymd(2026, 6, 1);
    let chain = world.judge(&world.chain(&params));
    assert_eq!(
        (codes(&chain), cap(&chain), chain.is_trusted),
        (vec!["CERTIFICATE_EXPIRED"], Some(Grade::T), false)
    );
    assert!(chain.problems[0].message.contains("15 days ago"), "{}", chain.problems[0].message);
    assert_eq!(chain.root, "CN=Root", "the rest of the chain is right");
    params.not_before = date_time_ymd(2026, 7, 1);
    params.not_after = date_time_ymd(2027, 7, 1);
    assert_eq!(codes(&world.judge(&world.chain(&params))), ["CERTIFICATE_NOT_YET_VALID"]);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 7, 15);
    let soon = world.judge(&world.chain(&params));
    assert_eq!((codes(&soon), soon.is_trusted, cap(&soon)), (vec!["CERTIFICATE_ENDS_SOON"], true, None));
    params.not_after = date_time_ymd(2026, 7, 16);
    assert!(codes(&world.judge(&world.chain(&params))).is_empty(), "30 days are enough");
}

#[test]
fn an_expired_certificate_does_not_hide_an_unknown_root() {
    let world = World::new();
    let mut params = server();
    params.not_after = date_time_ymd(2026, 6, 1);
    let chain = judge(&world.chain(&params), None, NAME, today(), &Roots::none());
    assert_eq!(codes(&chain), ["CERTIFICATE_EXPIRED", "MISSING_INTERMEDIATE"]);
}

#[test]
fn names_are_looked_at() {
    let world = World::new();
    let judged = |params: &CertificateParams, name: &str| {
        judge(&world.chain(params), None, name, today(), &world.roots)
    };
    let other = judged(&server_for("mail.example.com"), NAME);
    assert_eq!(
        (codes(&other), cap(&other), other.is_trusted),
        (vec!["HOST_MISMATCH"], Some(Grade::M), false)
    );
    assert!(other.problems[0].message.contains("mail.example.com"));
    assert!(judged(&server_for("mail.example.com"), "").is_trusted, "no name is asked for");
    assert!(judged(&server_for("*.example.com"), "WWW.example.com.").is_trusted);
    assert!(!judged(&server_for("*.example.com"), "a.b.example.com").is_trusted);
    let mut addresses = server();
    addresses.subject_alt_names = vec![
        SanType::IpAddress("192.0.2.7".parse().unwrap()),
        SanType::IpAddress("2001:db8::7".parse().unwrap()),
    ];
    assert!(judged(&addresses, "192.0.2.7").is_trusted);
    assert!(judged(&addresses, "[2001:DB8:0::7]").is_trusted);
    assert!(!judged(&addresses, "192.0.2.8").is_trusted);
    let mut named_only = server();
    named_only.subject_alt_names.clear();
    let chain = judged(&named_only, NAME);
    assert_eq!(codes(&chain), ["HOST_MISMATCH"]);
    assert!(chain.problems[0].message.contains("common name only"), "{}", chain.problems[0].message);
}

#[test]
fn a_chain_that_does_not_reach_a_root_says_why() {
    let world = World::new();
    let whole = world.chain(&server());
    assert_eq!(codes(&world.judge(&whole[..1])), ["MISSING_INTERMEDIATE"]);
    let with_root = [whole.clone(), vec![world.root.der()]].concat();
    let foreign = judge(&with_root, None, NAME, today(), &Roots::public());
    assert_eq!((codes(&foreign), foreign.is_trusted), (vec!["UNKNOWN_ISSUER", "ROOT_SENT"], false));
    let key = KeyPair::generate().unwrap();
    let own = server().self_signed(&key).unwrap();
    let chain = world.judge(&[own.der().to_vec()]);
    assert_eq!((codes(&chain), cap(&chain)), (vec!["SELF_SIGNED"], Some(Grade::T)));
    let taken = Roots::none().and(own.der()).unwrap();
    let pinned = judge(&[own.der().to_vec()], None, NAME, today(), &taken);
    assert!(pinned.is_trusted && pinned.problems.is_empty(), "it was given as a root: {:?}", codes(&pinned));
}

#[test]
fn a_root_of_the_same_name_that_did_not_sign_is_no_root() {
    let world = World::new();
    let impostor = Authority::root("Root");
    let chain = judge(&[impostor.sign(&server())], None, NAME, today(), &world.roots);
    assert_eq!((codes(&chain), chain.is_trusted), (vec!["CHAIN_REFUSED"], false));
}

#[test]
fn order_and_extras_are_told_and_do_no_harm() {
    let world = World::new();
    let second = world.middle.under("Second intermediate");
    let own = second.sign(&server());
    let ordered = world.judge(&[own.clone(), second.der(), world.middle.der()]);
    assert!(ordered.is_in_order && ordered.problems.is_empty());
    let turned = world.judge(&[own.clone(), world.middle.der(), second.der()]);
    assert!(!turned.is_in_order && turned.is_trusted);
    assert_eq!(codes(&turned), ["CHAIN_ORDER"]);
    let extra = world.judge(&[own, second.der(), world.middle.der(), Authority::root("Stranger").der()]);
    assert!(extra.is_trusted && extra.is_in_order);
    assert_eq!(codes(&extra), ["EXTRA_CERTIFICATE"]);
}

#[test]
fn one_that_is_not_for_servers_is_refused_with_the_reason() {
    let world = World::new();
    let mut params = server();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let chain = world.judge(&world.chain(&params));
    assert_eq!(codes(&chain), ["CHAIN_REFUSED"]);
    assert!(chain.problems[0].message.contains("serverAuth"), "{}", chain.problems[0].message);
    let mut params = server();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let chain = world.judge(&world.chain(&params));
    assert!(
        chain.problems[0].message.contains("certificate of an authority"),
        "{}",
        chain.problems[0].message
    );
}

#[test]
fn one_who_may_not_sign_is_no_issuer() {
    let world = World::new();
    let plain = world.middle.under_with(server_for("other.example.com"));
    let chain = world.judge(&[plain.sign(&server()), plain.der(), world.middle.der()]);
    assert_eq!((codes(&chain), chain.is_trusted), (vec!["CHAIN_REFUSED"], false));
}

#[test]
fn an_issuer_that_ended_is_told() {
    let world = World::new();
    let mut params = authority("Old intermediate");
    params.not_after = date_time_ymd(2026, 2, 1);
    let old = world.root.under_with(params);
    let chain = world.judge(&[old.sign(&server()), old.der()]);
    assert_eq!((codes(&chain), cap(&chain)), (vec!["ISSUER_EXPIRED"], Some(Grade::T)));
}

#[test]
fn weak_keys_and_signatures_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &str| openssl(folder.path(), arguments);
    let load = |name: &str| split(&std::fs::read(folder.path().join(name)).unwrap()).unwrap().remove(0);
    run("req -x509 -nodes -newkey rsa:2048 -keyout ca.key -out ca.pem -days 9 -subj /CN=Root");
    std::fs::write(folder.path().join("names"), format!("subjectAltName=DNS:{NAME}")).unwrap();
    run("req -nodes -newkey rsa:1024 -keyout weak.key -out weak.csr -subj /CN=weak");
    run(
        "x509 -req -in weak.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 900 -extfile names -out weak.pem",
    );
    run(
        "x509 -req -in weak.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 900 -extfile names -sha1 -out sha1.pem",
    );
    let roots = Roots::none().and(&std::fs::read(folder.path().join("ca.pem")).unwrap()).unwrap();
    let weak = load("weak.pem");
    let day = crate::certificate::Parsed::read(&weak).unwrap().not_before();
    let chain = judge(&[weak], None, NAME, day, &roots);
    assert_eq!((codes(&chain), cap(&chain), chain.is_trusted), (vec!["WEAK_KEY"], Some(Grade::F), true));
    let sha1 = judge(&[load("sha1.pem")], None, NAME, day, &roots);
    assert_eq!(
        (codes(&sha1), cap(&sha1), sha1.is_trusted),
        (vec!["WEAK_SIGNATURE", "WEAK_KEY"], Some(Grade::T), false)
    );
}

#[test]
fn what_cannot_be_read_is_told_where_it_stands() {
    let world = World::new();
    let mut chain = world.chain(&server());
    chain.insert(1, vec![0x30, 0]);
    let judged = world.judge(&chain);
    assert!(judged.is_trusted, "{:?}", judged.problems);
    assert_eq!(codes(&judged), ["CERTIFICATE_UNREADABLE"]);
    assert!(judged.problems[0].message.starts_with("certificate 2 "));
    let nothing = world.judge(&[vec![1, 2, 3]]);
    assert_eq!((codes(&nothing), cap(&nothing)), (vec!["CERTIFICATE_UNREADABLE"], Some(Grade::T)));
    assert_eq!(codes(&world.judge(&[])), ["NO_CERTIFICATE"]);
}

#[test]
fn many_certificates_are_looked_at_up_to_a_limit() {
    let world = World::new();
    let mut chain = world.chain(&server());
    chain.extend((0..40).map(|_| world.root.der()));
    let judged = world.judge(&chain);
    assert_eq!(judged.certificates.len(), MAX_CERTIFICATES);
    assert!(judged.is_trusted && codes(&judged).contains(&"TOO_MANY_CERTIFICATES"));
}

#[test]
fn roots_that_are_none_are_refused() {
    let error = Roots::none().and(b"nothing").err().unwrap();
    assert!(error.to_string().contains("cannot read the roots"), "{error}");
    let mut params = authority("x");
    params.distinguished_name.push(DnType::OrganizationName, "y");
    assert!(
        Roots::none().and(&Authority::root("z").under_with(params).der()).is_ok(),
        "an intermediate may be trusted by itself"
    );
}
