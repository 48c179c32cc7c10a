//! Runs crypto-service by itself; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    patchbay_chassis::main::<crypto_service::CryptoService>()
}
