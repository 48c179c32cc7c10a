//! Configuration: precedence, and every problem told at once with its source.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Sample, options};
use patchbay_chassis::{
    Suite,
    config::{ConfigError, Layer},
};
use std::{fs, path::PathBuf};

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn value(suite: &Suite, options: &patchbay_chassis::Options, key: &str) -> (String, String) {
    let settings = suite.load(options).unwrap_or_else(|error| panic!("{error}"));
    let shown = settings.shown.into_iter().find(|shown| shown.key == key).unwrap();
    (shown.value.as_str().unwrap_or_default().to_owned(), shown.source)
}

#[test]
fn each_layer_stands_above_the_one_before() {
    let suite = Suite::single::<Sample>();
    let mut options = options(&[]);
    let mut expect = |change: &dyn Fn(&mut patchbay_chassis::Options), text: &str, source: &str| {
        change(&mut options);
        assert_eq!(value(&suite, &options, "log.level"), (text.to_owned(), source.to_owned()));
    };
    let (_folder, path) = file("sample.toml", "[log]\nlevel = \"warn\"\n");
    let source = path.display().to_string();
    expect(&|_| {}, "info", "default");
    expect(&|o| o.presets.push(Layer::new("preset").set("log.level", "error")), "error", "preset");
    expect(&|o| o.file = Some(path.clone()), "warn", &source);
    let variable = ("PATCHBAY_LOG__LEVEL".to_owned(), "debug".to_owned());
    expect(&|o| o.environment.push(variable.clone()), "debug", "environment variable PATCHBAY_LOG__LEVEL");
    expect(&|o| o.flags = Layer::new("flag --log").set("log.level", "trace"), "trace", "flag --log");
}

#[test]
fn all_problems_are_told_with_source_and_key() {
    let (_folder, path) = file(
        "bad.toml",
        "nonsense = 1\n[greeting]\nevery = \"0s\"\ntxt = \"hi\"\n[grpc]\nlisten = \"nowhere\"\n[drain]\ndelay = 5\n",
    );
    let mut options = options(&[("PATCHBAY_OPS__LISTN", "1"), ("PATCHBAY_LOG__LEVEL", "what,=")]);
    options.file = Some(path.clone());
    let Err(ConfigError(problems)) = Suite::single::<Sample>().load(&options) else { panic!("it is bad") };
    let mut told: Vec<(&str, &str)> = problems.iter().map(|p| (p.key.as_str(), p.source.as_str())).collect();
    told.sort_unstable();
    let path = path.display().to_string();
    let expected = [
        ("drain.delay", path.as_str()),
        ("greeting.every", &path),
        ("greeting.txt", &path),
        ("grpc.listen", &path),
        ("log.level", "environment variable PATCHBAY_LOG__LEVEL"),
        ("nonsense", &path),
        ("ops.listn", "environment variable PATCHBAY_OPS__LISTN"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn variables_that_name_no_section_are_left_alone() {
    let injected =
        [("PATCHBAY_PORT", "tcp://10.0.0.1:80"), ("PATCHBAY_SERVICE_HOST", "10.0.0.1"), ("PATH", "/bin")];
    assert!(Suite::single::<Sample>().load(&options(&injected)).is_ok());
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_named() {
    let (_folder, path) = file("broken.toml", "[log\n");
    for path in [path, PathBuf::from("/nowhere/at-all.toml")] {
        let mut options = options(&[]);
        options.file = Some(path.clone());
        let error = Suite::single::<Sample>().load(&options).err().unwrap();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn in_the_all_in_one_a_services_keys_stand_under_its_name() {
    let suite = Suite::all_in_one("many", 9299).with::<Sample>();
    let variables =
        [("PATCHBAY_SAMPLE__GREETING__TEXT", "moin"), ("PATCHBAY_SAMPLE__GRPC__LISTEN", "127.0.0.1:7")];
    let options = options(&variables);
    assert_eq!(value(&suite, &options, "sample.greeting.text").0, "moin");
    assert_eq!(value(&suite, &options, "sample.grpc.listen").0, "127.0.0.1:7");
    assert_eq!(value(&suite, &options, "ops.listen").0, "127.0.0.1:9299");
    let flat = common::options(&[("PATCHBAY_GREETING__TEXT", "moin")]);
    assert!(suite.load(&flat).is_err(), "it belongs under the service's name");
}

#[test]
fn a_service_that_does_not_exist_cannot_be_started() {
    let suite = Suite::all_in_one("many", 9299).with::<Sample>();
    let mut options = options(&[]);
    options.services = Some(vec!["sample".to_owned(), "nosuch".to_owned()]);
    let error = suite.load(&options).err().unwrap().to_string();
    assert!(error.contains("`nosuch` is not one of: sample"), "{error}");
}

#[test]
fn without_keys_only_development_starts() {
    let mut options = options(&[]);
    options.mode = patchbay_chassis::Mode::Production;
    let error = Suite::single::<Sample>().load(&options).err().unwrap().to_string();
    assert!(error.contains("auth.jwks_file"), "{error}");
}

#[test]
fn the_annotated_file_is_valid_and_changes_nothing() {
    let suite = Suite::single::<Sample>();
    let reference = suite.references().remove(0);
    assert!(reference.markdown.contains("| `every` | time | `\"15s\"` | `PATCHBAY_GREETING__EVERY` |"));
    // Uncommented, it must say what the defaults say.
    let keys = reference.toml.lines().filter_map(|line| {
        let bare = line.strip_prefix("# ").filter(|bare| bare.contains(" = ") && !bare.contains("= ..."));
        bare.or_else(|| line.starts_with('[').then_some(line))
    });
    let (_folder, path) = file("all.toml", &keys.collect::<Vec<_>>().join("\n"));
    let mut with_file = options(&[]);
    with_file.file = Some(path);
    let (plain, full) = (suite.load(&options(&[])).unwrap(), suite.load(&with_file).unwrap());
    let values = |shown: Vec<patchbay_chassis::config::Shown>| {
        shown.into_iter().map(|shown| (shown.key, shown.value)).collect::<Vec<_>>()
    };
    assert_eq!(values(plain.shown), values(full.shown));
}
