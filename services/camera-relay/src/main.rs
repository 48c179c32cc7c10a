//! Runs camera-relay by itself; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    patchbay_chassis::main::<camera_relay::CameraRelay>()
}
