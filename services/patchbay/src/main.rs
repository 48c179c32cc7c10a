//! `patchbay`: the all-in-one and the operator's command line.

fn main() -> std::process::ExitCode {
    patchbay::main()
}
