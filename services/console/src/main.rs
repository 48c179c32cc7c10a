//! `console`: the web console as a process of its own.

fn main() -> std::process::ExitCode {
    patchbay_chassis::main::<console::Console>()
}
