//! Compiles `proto/` with protox, so that no protoc program is needed.

use protox::prost_reflect::{DescriptorPool, MessageDescriptor, prost_types::FileDescriptorSet};
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

/// Package whose messages hold passwords, tokens and keys.
const SECRETIVE: &str = "patchbay.crypto.v1";

const FILES: [&str; 17] = [
    "patchbay/camera/v1/cameras.proto",
    "patchbay/chat/v1/chat_admin.proto",
    "patchbay/console/v1/console.proto",
    "patchbay/console/v1/events.proto",
    "patchbay/crypto/v1/accounts.proto",
    "patchbay/crypto/v1/admin.proto",
    "patchbay/crypto/v1/agreement.proto",
    "patchbay/crypto/v1/data.proto",
    "patchbay/crypto/v1/encoding.proto",
    "patchbay/crypto/v1/hash.proto",
    "patchbay/crypto/v1/keys.proto",
    "patchbay/crypto/v1/passwords.proto",
    "patchbay/crypto/v1/seal.proto",
    "patchbay/crypto/v1/streams.proto",
    "patchbay/crypto/v1/tls.proto",
    "patchbay/crypto/v1/tokens.proto",
    "patchbay/media/v1/relay.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let files = compiler.file_descriptor_set();
    std::fs::write(out.join("descriptor.binpb"), compiler.encode_file_descriptor_set())?;
    std::fs::write(out.join("secretive.rs"), opaque_debug(&files)?)?;
    let secretive = format!(".{SECRETIVE}");
    tonic_prost_build::configure()
        // Payloads are cut from the message that holds them, not copied.
        .bytes(&secretive)
        .bytes(".patchbay.media.v1")
        .bytes(".patchbay.camera.v1")
        .skip_debug([&secretive])
        .compile_fds(files)?;
    Ok(())
}

/// `Debug` that names the message and shows nothing of it, so that no log, panic or trace can tell a secret.
fn opaque_debug(files: &FileDescriptorSet) -> Result<String, Box<dyn std::error::Error>> {
    let pool = DescriptorPool::from_file_descriptor_set(files.clone())?;
    let mut code = String::new();
    for message in pool.all_messages().filter(|message| message.package_name() == SECRETIVE) {
        write_debug(&mut code, message.name(), message.name())?;
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let path = format!("{}::{}", module(&message), pascal_case(oneof.name()));
            write_debug(&mut code, &path, oneof.name())?;
        }
    }
    Ok(code)
}

fn write_debug(code: &mut String, path: &str, shown: &str) -> std::fmt::Result {
    writeln!(
        code,
        "impl ::core::fmt::Debug for {path} {{ \
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{ f.write_str(\"{shown}(..)\") }} \
        }}"
    )
}

/// Module in which prost puts what is nested in a message.
fn module(message: &MessageDescriptor) -> String {
    let mut name = String::new();
    for (index, letter) in message.name().char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

fn pascal_case(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}
