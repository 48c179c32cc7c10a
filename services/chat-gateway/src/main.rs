//! Runs chat-gateway by itself; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    patchbay_chassis::main::<chat_gateway::ChatGateway>()
}
