//! The generated reference is what the code says.

use patchbay_testkit::binaries::workspace;

#[test]
fn the_configuration_reference_is_fresh() {
    for reference in patchbay::suite().references() {
        for (path, text) in reference.files() {
            let found = std::fs::read_to_string(workspace().join(&path)).unwrap_or_default();
            assert!(found == text, "{path} is stale: run `cargo run -p patchbay -- config docs --out .`");
        }
    }
}
