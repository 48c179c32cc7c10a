//! Code generated from `proto/`: messages, servers and clients, one module for each package.
//!
//! It holds no hand-written types. Services implement the servers, backends and tests use the clients.
#![expect(
    missing_docs,
    clippy::pedantic,
    clippy::all,
    clippy::allow_attributes,
    reason = "generated; comments stand in the .proto files"
)]

/// Package `patchbay.camera.v1`.
pub mod camera {
    pub mod v1 {
        tonic::include_proto!("patchbay.camera.v1");
    }
}

/// Package `patchbay.chat.v1`.
pub mod chat {
    pub mod v1 {
        tonic::include_proto!("patchbay.chat.v1");
    }
}

/// Package `patchbay.console.v1`.
pub mod console {
    pub mod v1 {
        tonic::include_proto!("patchbay.console.v1");
    }
}

/// Package `patchbay.crypto.v1`. Its messages print as their names alone.
pub mod crypto {
    pub mod v1 {
        tonic::include_proto!("patchbay.crypto.v1");
        include!(concat!(env!("OUT_DIR"), "/secretive.rs"));
    }
}

/// Package `patchbay.media.v1`.
pub mod media {
    pub mod v1 {
        tonic::include_proto!("patchbay.media.v1");
    }
}

/// Encoded `FileDescriptorSet` of every package, for gRPC reflection.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.binpb"));
