//! Project Wycheproof's vectors, first on the primitives, then through the public API of a running crypto-service.
//!
//! Every case of every file is run. A case that the interface offers must come out as the file says; one that it does not (a nonce of
//! another length, a digest that is not offered) must be refused, and is counted by its reason. A table of all of it is printed.

mod api;
mod cases;
mod exchange;
mod exchange_api;
mod internal;
mod ml_dsa;
mod signatures;
mod table;

use integration_tests::verdict::TestResult;

/// Ciphers, MACs, decryption and key derivation on `patchbay-crypto` itself.
#[test]
fn the_primitives_agree_with_every_file() -> TestResult {
    internal::run()?.finish("Wycheproof, primitives");
    Ok(())
}

/// Key agreement, encapsulation, wrapping and derivation on `patchbay-crypto` itself.
#[test]
fn agreements_agree_with_every_file() -> TestResult {
    exchange::run()?.finish("Wycheproof, agreement and wrapping");
    Ok(())
}

/// Verification of signatures on `patchbay-crypto` itself. Their files have public keys only, which cannot be imported as keys of the
/// service, so that these cases cannot be put to its API.
#[test]
fn signatures_agree_with_every_file() -> TestResult {
    signatures::run()?.finish("Wycheproof, signatures (public keys: not through the API)");
    Ok(())
}

/// The same cases as the first test, through gRPC.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_agrees_with_every_file() -> TestResult {
    api::run().await?.finish("Wycheproof, through the API");
    Ok(())
}

/// Key agreement, decapsulation and ML-DSA through gRPC, with the private keys that the files have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_agrees_on_keys_with_every_file() -> TestResult {
    let title = "Wycheproof, agreement through the API (AES-GCM-SIV and encapsulation: nonces and randomness are made inside)";
    exchange_api::run().await?.finish(title);
    Ok(())
}
