//! One request's way to the calls: who asks, from where, and how long it may take.

use super::frame::Refusal;
use crate::{caller::Caller, core::Core, keyring::KeyType};
use http::{Extensions, HeaderMap, request::Parts};
use patchbay_auth::Identity;
use patchbay_proto::crypto::v1::{data_client::DataClient, hash_client::HashClient, keys_client::KeysClient};
use patchbay_transcode::{Calls, Deadline, headers_to_pass};
use std::{sync::Arc, time::Duration};
use tonic::{Request, Response, Status, metadata::MetadataMap};

/// One request of somebody who is known.
pub(super) struct Session {
    core: Arc<Core>,
    calls: Calls,
    caller: Caller,
    headers: HeaderMap,
    connection: Extensions,
    deadline: Deadline,
}

impl Session {
    /// Asks who it is before anything else: nothing is read or looked up for a stranger.
    pub(super) fn begin(
        core: &Arc<Core>,
        calls: &Calls,
        parts: &Parts,
        most: Duration,
    ) -> Result<Self, Refusal> {
        let token = patchbay_auth::bearer(&parts.headers)?;
        Ok(Self {
            caller: Caller::from(core.context.auth.verify(token)?),
            core: Arc::clone(core),
            calls: calls.clone(),
            headers: headers_to_pass(&parts.headers),
            connection: parts.extensions.clone(),
            deadline: Deadline::of(&parts.headers, most),
        })
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

    /// Type of a key, to know which of Vault's parameters concern it. Only for those who may do the operation with the key: to
    /// everybody else its answers would tell whether there is one.
    pub(super) async fn key_type(&self, operation: &str, name: &str) -> Result<KeyType, Status> {
        self.caller.require_key(operation, name)?;
        let found = async { Ok(self.core.keyring.get(name).await?.header.key_type) };
        self.deadline.limit(found).await
    }

    /// Items that a batch may have.
    pub(super) fn most_items(&self) -> usize {
        self.core.config.limits.batch
    }

    /// Who asks.
    pub(super) fn identity(&self) -> &Identity {
        self.caller.identity()
    }

    /// Unix time in seconds.
    pub(super) fn now(&self) -> u64 {
        self.core.context.clock.now_millis() / 1000
    }
}
