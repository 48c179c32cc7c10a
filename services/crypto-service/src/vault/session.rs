//! One request's way to the calls: who asks, from where, and how long it may take.

use crate::{core::Core, keyring::KeyType};
use http::{Extensions, HeaderMap, header, request::Parts};
use patchbay_auth::{Identity, TokenError};
use patchbay_proto::crypto::v1::{data_client::DataClient, hash_client::HashClient, keys_client::KeysClient};
use patchbay_transcode::{Calls, Deadline, headers_to_pass};
use std::{sync::Arc, time::Duration};
use tonic::{Request, Response, Status, metadata::MetadataMap};

/// One request.
pub(super) struct Session {
    core: Arc<Core>,
    calls: Calls,
    headers: HeaderMap,
    connection: Extensions,
    deadline: Deadline,
}

impl Session {
    pub(super) fn new(core: &Arc<Core>, calls: &Calls, parts: &Parts, most: Duration) -> Self {
        Self {
            core: Arc::clone(core),
            calls: calls.clone(),
            headers: headers_to_pass(&parts.headers),
            connection: parts.extensions.clone(),
            deadline: Deadline::of(&parts.headers, most),
        }
    }

    pub(super) fn keys(&self) -> KeysClient<Calls> {
        KeysClient::new(self.calls.clone())
    }

    pub(super) fn data(&self) -> DataClient<Calls> {
        DataClient::new(self.calls.clone())
    }

    pub(super) fn hash(&self) -> HashClient<Calls> {
        HashClient::new(self.calls.clone())
    }

    /// A message with everything of this request that a call needs.
    pub(super) fn request<M>(&self, message: M) -> Request<M> {
        let metadata = MetadataMap::from_headers(self.headers.clone());
        Request::from_parts(metadata, self.connection.clone(), message)
    }

    /// Waits for a call.
    pub(super) async fn wait<M>(
        &self,
        call: impl Future<Output = Result<Response<M>, Status>>,
    ) -> Result<M, Status> {
        self.deadline.limit(call).await.map(Response::into_inner)
    }

    /// Type of a key, to know which of Vault's parameters concern it. It is told to nobody: the call that follows asks
    /// for permission, and says why there is no such key.
    pub(super) async fn key_type(&self, name: &str) -> Option<KeyType> {
        let key = self.core.keyring.get(name).await.ok()?;
        Some(key.header.key_type)
    }

    /// Who asks.
    pub(super) fn identity(&self) -> Result<Arc<Identity>, TokenError> {
        let value = self.headers.get(header::AUTHORIZATION).ok_or(TokenError::Missing)?;
        let token =
            value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(TokenError::Malformed)?;
        self.core.context.auth.verify(token.1)
    }

    /// Unix time in seconds.
    pub(super) fn now(&self) -> u64 {
        self.core.context.clock.now_millis() / 1000
    }
}
