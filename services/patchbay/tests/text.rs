//! `patchbay hash`, `encode` and `decode`, as a person uses them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

fn patchbay(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.current_dir(folder).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that does not read its input may be gone before it is written.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

/// Runs a program of the system over what ours has written.
fn check(program: &str, folder: &Path, lines: &str) {
    fs::write(folder.join("sums"), lines).unwrap();
    let output = Command::new(program).current_dir(folder).args(["--check", "sums"]).output().unwrap();
    assert!(output.status.success(), "{program}: {lines}: {}", text(&output.stderr));
}

#[test]
fn files_are_hashed_as_coreutils_do() {
    let folder = tempfile::tempdir().unwrap();
    let big: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    fs::write(folder.path().join("big"), &big).unwrap();
    fs::write(folder.path().join("odd\\na\nme"), b"odd").unwrap();
    for (name, program) in [
        ("sha256", "sha256sum"),
        ("SHA-384", "sha384sum"),
        ("sha2-512", "sha512sum"),
        ("blake2b", "b2sum"),
        ("md5", "md5sum"),
    ] {
        let arguments = ["hash", "--algorithm", name, "big", "odd\\na\nme"];
        let output = patchbay(folder.path(), &arguments, b"");
        assert!(output.status.success(), "{output:?}");
        check(program, folder.path(), &text(&output.stdout));
        assert_eq!(text(&output.stderr).contains("MD5 is broken"), name == "md5", "{output:?}");
    }
    let output = patchbay(folder.path(), &["hash", "-a", "sha1,sha256,sha512,sha3-256,blake2s", "big"], b"");
    assert!(text(&output.stderr).starts_with("warning: SHA1 is broken"), "{output:?}");
    let lines = text(&output.stdout);
    let labels: Vec<&str> =
        lines.lines().filter_map(|line| line.split_once(" (big) = ")).map(|(label, _)| label).collect();
    assert_eq!(labels, ["SHA1", "SHA256", "SHA512", "SHA3-256", "BLAKE2s"]);
    let of = |label: &str| -> String {
        let begins = format!("{label} ");
        lines.split_inclusive('\n').filter(|line| line.starts_with(&begins)).collect()
    };
    check("sha1sum", folder.path(), &of("SHA1"));
    check("sha256sum", folder.path(), &of("SHA256"));
    check("sha512sum", folder.path(), &of("SHA512"));
}

#[test]
fn standard_input_is_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  -\n";
    for arguments in [&["hash"][..], &["hash", "-"]] {
        let output = patchbay(folder.path(), arguments, b"abc");
        assert_eq!((text(&output.stdout), text(&output.stderr)), (abc.to_owned(), String::new()));
    }
}

#[test]
fn a_file_that_cannot_be_read_does_not_spoil_the_others() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("here"), b"abc").unwrap();
    let output = patchbay(folder.path(), &["hash", "gone", ".", "here"], b"");
    assert_eq!(output.status.code(), Some(1));
    let (lines, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(lines.ends_with("  here\n") && lines.lines().count() == 1, "{lines}");
    assert!(errors.contains("gone: No such file") && errors.contains(".: Is a directory"), "{errors}");
    assert!(errors.contains("2 of 3 files"), "{errors}");
    let output = patchbay(folder.path(), &["hash", "--algorithm", "sha257", "here"], b"");
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("`sha257` is no hash function"), "{output:?}");
}

#[test]
fn text_is_encoded_and_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], input: &[u8]| {
        let output = patchbay(folder.path(), arguments, input);
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    for (format, plain, encoded) in [
        ("base64", "a b/ü?>>", "YSBiL8O8Pz4+"),
        ("base64url", "a b/ü?>>", "YSBiL8O8Pz4-"),
        ("url", "a b/ü+~", "a%20b%2F%C3%BC%2B~"),
        ("query", "a b/ü+~", "a+b%2F%C3%BC%2B~"),
        ("hex", "a b/ü", "6120622fc3bc"),
    ] {
        assert_eq!(text(&run(&["encode", format, plain], b"")), format!("{encoded}\n"));
        assert_eq!(text(&run(&["encode", format], plain.as_bytes())), format!("{encoded}\n"));
        assert_eq!(text(&run(&["decode", format, encoded], b"")), plain);
        assert_eq!(text(&run(&["decode", format], format!("{encoded}\n").as_bytes())), plain);
    }
    assert_eq!(run(&["decode", "base64"], b"AP\n/+\r\n"), [0, 0xff, 0xfe]);
    assert_eq!(text(&run(&["encode", "hex"], b"line\n")), "6c696e650a\n");
    assert_eq!(text(&run(&["encode", "url", "-x"], b"")), "-x\n");
}

#[test]
fn an_error_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, problem) in [
        (["decode", "url", "ab%zz"], "position 2 "),
        (["decode", "base64", "Zm9v!mFy"], "position 4 "),
        (["decode", "hex", "ab c?"], "white space is not counted"),
    ] {
        let output = patchbay(folder.path(), &arguments, b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty() && text(&output.stderr).contains(problem), "{output:?}");
    }
    assert_eq!(patchbay(folder.path(), &["encode", "rot13", "x"], b"").status.code(), Some(64));
}
