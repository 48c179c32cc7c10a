//! One request's way to the calls: who asks, from where, and how long it may take.

use super::frame::Refusal;
use crate::{
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    keyring::{Header, KeyName, KeyType},
};
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
    pub(super) async fn key_type(&self, operation: &str, name: &str) -> Result<KeyType, Error> {
        self.caller.require_key(operation, name)?;
        let found = self.deadline.limit(async { Ok(self.core.keyring.get(name).await) }).await;
        Ok(found.unwrap_or(Err(Error::Unavailable))?.header.key_type)
    }

    /// What stands in the store of a key now, for those who may do the operation with it.
    pub(super) async fn key_header(&self, operation: &str, name: &str) -> Result<Header, Error> {
        self.caller.require_key(operation, name)?;
        let name = KeyName::parse("name", name)?;
        let found = self.deadline.limit(async { Ok(self.core.keyring.describe(&name).await) }).await;
        found.unwrap_or(Err(Error::Unavailable)).map(|(header, _)| header)
    }

    /// Refuses what no call refuses, and counts it like one.
    pub(super) fn refuse(&self, error: Error) -> Refusal {
        self.core.metrics.item_refused(&error);
        Status::from(error).into()
    }

    /// As [`Self::refuse`], and records it. That it could not be recorded does not hide it.
    pub(super) async fn refuse_change(&self, operation: &'static str, name: &str, error: Error) -> Refusal {
        let entry = Entry::of(&self.caller, operation, name).refused(&error);
        if let Err(unrecorded) = self.core.store.record(entry).await {
            tracing::warn!(operation, %unrecorded, "a refusal could not be recorded");
        }
        self.refuse(error)
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
