//! What keeps secrets out of files that nobody asked for.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps of this process, and other processes of the same user to read its memory.
pub(crate) fn forbid_dumps() {
    let limit = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if limit.is_err() || dumpable.is_err() {
        tracing::warn!("core dumps of this process could not be forbidden");
    }
}
