//! What the black-box tests of this folder share: gateways as real processes, many clients with one oracle, a
//! Redis that can be hurt, and the gRPC API as a backend calls it. The tests themselves are in `tests/`.

pub mod admin;
pub mod camera;
pub mod crypto;
pub mod fleet;
pub mod gateway;
pub mod replay;
pub mod report;
pub mod vectors;
pub mod verdict;
pub mod world;
