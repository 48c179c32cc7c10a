//! NIST's CAVP vectors, and the RFCs' for what NIST has none of, first on the primitives, then through the public API of a running
//! crypto-service. They come with Python's `cryptography_vectors`; where that is not installed the tests are skipped, and it is said.
//!
//! Every case of a file is run. A case that the interface offers must come out as the file says; one that it does not (a tag of another
//! length, a digest that is not offered) must be refused, and is counted by its reason. A table of all of it is printed.

mod api;
mod cases;
mod internal;
mod keys;

mod signatures;
#[path = "../wycheproof/table.rs"]
mod table;
mod vectors;

use integration_tests::verdict::TestResult;
use vectors::Folder;

/// Digests, HMAC, AES-GCM and AES-CBC on `patchbay-crypto` itself.
#[test]
fn the_primitives_agree_with_every_file() -> TestResult {
    let Some(folder) = Folder::find() else { return Ok(()) };
    internal::run(&folder)?.finish("NIST, primitives");
    Ok(())
}

/// Verification of signatures on `patchbay-crypto` itself, with public keys. Only one file has private keys, which can be imported as keys
/// of the service; the API gets that one too.
#[test]
fn signatures_agree_with_every_file() -> TestResult {
    let Some(folder) = Folder::find() else { return Ok(()) };
    signatures::run(&folder)?.finish("NIST, signatures");
    Ok(())
}

/// The cases of the first test without the chains of digests, and the signatures whose private key is known, through gRPC.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_agrees_with_every_file() -> TestResult {
    let Some(folder) = Folder::find() else { return Ok(()) };
    api::run(&folder).await?.finish("NIST, through the API");
    Ok(())
}
