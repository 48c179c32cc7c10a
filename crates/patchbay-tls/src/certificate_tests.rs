use super::*;
use crate::{authority::Authority, files::Lock};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, sync::Barrier, thread, time::Duration};

const DAY: Duration = Duration::from_hours(24);

/// Some day in 2027.
const NOW: u64 = 1_800_000_000_000;

fn local(names: &[&str]) -> Tls {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Tls { development: true, names, ..Tls::default() }
}

fn open(tls: &Tls, data: &Path, clock: &Clock) -> Result<Arc<Certificate>, TlsError> {
    let place = Place { data: Some(data), owner: "service" };
    Certificate::open(tls, place, clock.clone()).map(|opened| opened.expect("there is TLS"))
}

fn bytes(certificate: &Certificate) -> Vec<u8> {
    certificate.served.read().certified.cert.first().unwrap().to_vec()
}

/// A pair of files as another program writes them.
fn write_pair(folder: &Path, authority: &Path, name: &str) -> Tls {
    let signed = Authority::open(authority, &Clock::system()).unwrap().sign(&[name.to_owned()]).unwrap();
    let tls = files_of(folder);
    fs::write(tls.certificate_file.as_ref().unwrap(), signed.certificate).unwrap();
    fs::write(tls.key_file.as_ref().unwrap(), signed.key).unwrap();
    tls
}

fn files_of(folder: &Path) -> Tls {
    let file = |name: &str| Some(folder.join(name));
    Tls { certificate_file: file("tls.crt"), key_file: file("tls.key"), ..Tls::default() }
}

#[test]
fn it_is_renewed_when_a_third_of_its_life_is_left() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(NOW));
    let certificate = open(&local(&[]), folder.path(), &clock).unwrap();
    let first = bytes(&certificate);
    clock.advance(DAY * 59);
    assert!(matches!(certificate.look(), Look::Same));
    assert_eq!(bytes(&certificate), first);
    clock.advance(Duration::from_mins(24 * 60 - 1));
    assert!(
        matches!(certificate.look(), Look::Replaced),
        "before it has 30 days left, at which warnings begin"
    );
    assert_ne!(bytes(&certificate), first);
    assert_eq!(certificate.expires(), NOW / 1000 + (DAY * (60 + 90)).as_secs() - 60);
    assert!(matches!(certificate.look(), Look::Same), "once");
}

#[test]
fn a_restart_takes_the_one_that_is_there_until_names_or_the_authority_change() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(NOW));
    let again = |names: &[&str]| bytes(&open(&local(names), folder.path(), &clock).unwrap());
    let first = again(&[]);
    assert_eq!(again(&[]), first);
    let named = again(&["patchbay.local", "192.168.1.20"]);
    assert_ne!(named, first);
    assert_eq!(again(&["Patchbay.local.", "192.168.1.20", "localhost"]), named, "another spelling");
    for half in ["ca.pem", "ca.key"] {
        fs::remove_file(folder.path().join("tls").join(half)).unwrap();
    }
    assert_ne!(again(&["patchbay.local", "192.168.1.20"]), named);
    fs::write(folder.path().join("tls/service.pem"), "no certificate").unwrap();
    assert_ne!(again(&[]), first, "what is broken is made anew");
}

#[test]
fn files_are_private_and_the_authority_stays() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(NOW));
    open(&local(&[]), folder.path(), &clock).unwrap();
    let tls = folder.path().join("tls");
    let mode = |name: &str| fs::metadata(tls.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ca.pem"), mode("ca.key"), mode("service.pem")), (0o644, 0o600, 0o600));
    let authority = fs::read(tls.join("ca.pem")).unwrap();
    clock.advance(DAY * 365);
    open(&local(&[]), folder.path(), &clock).unwrap();
    assert_eq!(fs::read(tls.join("ca.pem")).unwrap(), authority);
    clock.advance(DAY * 365 * 9);
    let last = open(&local(&[]), folder.path(), &clock).unwrap();
    assert_ne!(fs::read(tls.join("ca.pem")).unwrap(), authority, "it is made anew before it ends");
    assert!(last.expires() > clock.now_millis() / 1000 + (DAY * 89).as_secs());
    let names = fs::read_dir(&tls).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 4, "nothing is left beside them and the lock");
}

#[test]
fn services_that_start_at_once_share_one_authority() {
    let (folder, clock, barrier) = (tempfile::tempdir().unwrap(), Clock::manual(NOW), Barrier::new(8));
    let keys: Vec<_> = thread::scope(|scope| {
        let one = |owner: usize| {
            let (folder, clock, barrier) = (folder.path(), &clock, &barrier);
            scope.spawn(move || {
                let owner = format!("service-{owner}");
                barrier.wait();
                let place = Place { data: Some(folder), owner: &owner };
                let opened = Certificate::open(&local(&[]), place, clock.clone()).unwrap().unwrap();
                let key = opened.served.read().facts.authority_key.clone();
                key.expect("it says who signed it")
            })
        };
        let running: Vec<_> = (0..8).map(one).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[test]
fn halves_of_two_authorities_are_refused() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(NOW));
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    for data in [&one, &other] {
        open(&local(&[]), data, &clock).unwrap();
    }
    fs::copy(other.join("tls/ca.key"), one.join("tls/ca.key")).unwrap();
    let error = open(&local(&[]), &one, &clock).unwrap_err();
    assert!(matches!(error, TlsError::NotAPair { .. }), "{error}");
}

#[test]
fn a_name_of_the_internet_is_refused() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::manual(NOW));
    for name in ["example.org", "8.8.8.8"] {
        let error = open(&local(&[name]), folder.path(), &clock).unwrap_err();
        assert!(matches!(error, TlsError::NotPermitted(_)), "{error}");
    }
    let error = open(&local(&["no name"]), folder.path(), &clock).unwrap_err();
    assert!(matches!(error, TlsError::NotAName(_)), "{error}");
}

#[test]
fn development_needs_a_folder_and_nothing_is_plain_text() {
    let place = Place { data: None, owner: "service" };
    let open = |tls: &Tls| Certificate::open(tls, place, Clock::system());
    assert!(matches!(open(&local(&[])), Err(TlsError::NoFolder)));
    assert!(open(&Tls::default()).unwrap().is_none());
}

#[test]
fn a_changed_pair_is_served_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    fs::create_dir_all(&own).unwrap();
    fs::create_dir_all(&other).unwrap();
    let tls = write_pair(&own, folder.path(), "a.local");
    let next = write_pair(&other, folder.path(), "b.local");
    let (file, key) = (tls.certificate_file.clone().unwrap(), tls.key_file.clone().unwrap());
    let certificate = open(&tls, folder.path(), &Clock::system()).unwrap();
    let first = bytes(&certificate);
    assert!(matches!(certificate.look(), Look::Same));
    fs::write(&file, "no certificate").unwrap();
    assert!(matches!(certificate.look(), Look::Kept(TlsError::Pem { .. })));
    assert!(matches!(certificate.look(), Look::Same), "a mistake is told once");
    fs::remove_file(&file).unwrap();
    assert!(matches!(certificate.look(), Look::Kept(TlsError::Read { .. })));
    fs::copy(next.certificate_file.unwrap(), &file).unwrap();
    assert!(matches!(certificate.look(), Look::Kept(TlsError::Unusable { .. })), "it does not fit the key");
    assert_eq!(bytes(&certificate), first);
    fs::copy(next.key_file.unwrap(), &key).unwrap();
    assert!(matches!(certificate.look(), Look::Replaced));
    assert_ne!(bytes(&certificate), first);
}

#[test]
fn a_link_to_a_folder_may_be_turned() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    for (name, host) in [("2027-01", "a.local"), ("2027-02", "b.local")] {
        fs::create_dir_all(at(name)).unwrap();
        write_pair(&at(name), folder.path(), host);
    }
    std::os::unix::fs::symlink("2027-01", at("current")).unwrap();
    let certificate = open(&files_of(&at("current")), folder.path(), &Clock::system()).unwrap();
    let first = bytes(&certificate);
    std::os::unix::fs::symlink("2027-02", at("next")).unwrap();
    fs::rename(at("next"), at("current")).unwrap();
    assert!(matches!(certificate.look(), Look::Replaced));
    assert_ne!(bytes(&certificate), first);
}

#[test]
fn one_that_has_ended_is_served() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let tls = write_pair(folder.path(), folder.path(), "a.local");
    let later = Clock::manual(clock.now_millis() + u64::try_from((DAY * 91).as_millis()).unwrap());
    let certificate = open(&tls, folder.path(), &later).unwrap();
    assert!(certificate.has_ended.load(Ordering::Relaxed));
    write_pair(folder.path(), folder.path(), "b.local");
    assert!(matches!(certificate.look(), Look::Replaced));
}

/// A pair by OpenSSL, as operators make it.
fn openssl(folder: &Path, arguments: &[&str]) -> Tls {
    let tls = files_of(folder);
    let (file, key) = (tls.certificate_file.as_ref().unwrap(), tls.key_file.as_ref().unwrap());
    let mut command = std::process::Command::new("openssl");
    command.args(["req", "-x509", "-subj", "/CN=a.local", "-addext", "subjectAltName=DNS:a.local"]);
    command.args(arguments).arg("-out").arg(file).arg("-keyout").arg(key);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    tls
}

#[test]
fn keys_of_every_usual_kind_are_served() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [
        &["-newkey", "rsa:2048"][..],
        &["-newkey", "ed25519"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
        &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    ] {
        let tls = openssl(folder.path(), &[kind, &["-nodes"]].concat());
        open(&tls, folder.path(), &Clock::system()).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
}

#[test]
fn a_key_with_a_passphrase_is_told_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let tls = openssl(folder.path(), &["-newkey", "rsa:2048", "-passout", "pass:secret"]);
    let told = |tls: &Tls| open(tls, folder.path(), &Clock::system()).unwrap_err();
    let error = told(&tls);
    assert!(matches!(error, TlsError::Encrypted { .. }), "{error}");
    let key = tls.key_file.as_ref().unwrap();
    let older = std::process::Command::new("openssl")
        .args(["rsa", "-aes128", "-traditional", "-passin", "pass:secret", "-passout", "pass:secret"])
        .args([std::ffi::OsStr::new("-in"), key.as_os_str(), "-out".as_ref(), key.as_os_str()])
        .output()
        .unwrap();
    assert!(older.status.success(), "{}", String::from_utf8_lossy(&older.stderr));
    assert!(fs::read_to_string(key).unwrap().contains("Proc-Type"));
    let error = told(&tls);
    assert!(matches!(error, TlsError::Encrypted { .. }), "{error}");
}

#[test]
fn a_lock_that_nobody_gives_back_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let _held = Lock::take(folder.path()).unwrap();
    let waited = Lock::take_within(folder.path(), Duration::from_millis(50));
    assert!(matches!(waited, Err(TlsError::Busy { .. })));
}

#[test]
fn a_lock_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    drop(Lock::take(folder.path()).unwrap());
    drop(Lock::take(folder.path()).unwrap());
}
