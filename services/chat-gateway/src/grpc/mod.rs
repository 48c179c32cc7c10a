//! `patchbay.chat.v1.ChatAdmin`: rooms as a backend sees them.

mod admin;
mod error;
mod watch;

use crate::gateway::Gateway;
use admin::Admin;
use patchbay_auth::{MethodScopes, Requirement};
use patchbay_proto::chat::v1::chat_admin_server::ChatAdminServer;
use std::sync::Arc;

/// Makes the server.
pub(crate) fn server(gateway: Arc<Gateway>) -> ChatAdminServer<Admin> {
    ChatAdminServer::new(Admin { gateway })
}

/// Which scope each method needs; the room is checked in the method.
pub(crate) fn methods() -> MethodScopes {
    let admin = Requirement::Scope { service: "chat", action: "admin" };
    let paths = [
        "/patchbay.chat.v1.ChatAdmin/Publish",
        "/patchbay.chat.v1.ChatAdmin/Subscribe",
        "/patchbay.chat.v1.ChatAdmin/Unsubscribe",
        "/patchbay.chat.v1.ChatAdmin/Disconnect",
        "/patchbay.chat.v1.ChatAdmin/Presence",
        "/patchbay.chat.v1.ChatAdmin/PresenceStats",
        "/patchbay.chat.v1.ChatAdmin/History",
        "/patchbay.chat.v1.ChatAdmin/HistoryRemove",
        "/patchbay.chat.v1.ChatAdmin/Rooms",
        "/patchbay.chat.v1.ChatAdmin/Info",
        "/patchbay.chat.v1.ChatAdmin/Watch",
    ];
    paths
        .into_iter()
        .fold(MethodScopes::new("chat-gateway.patchbay"), |methods, path| methods.method(path, admin))
}
