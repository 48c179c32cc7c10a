//! `patchbay.crypto.v1.Admin`: how the store is, what was done, and a copy of everything.

use crate::{
    audit::{self, Entry, Filter, Stored},
    backup,
    caller::Caller,
    core::Core,
    error::Error,
    store::Table,
};
use bytes::Bytes;
use patchbay_backplane::Health;
use patchbay_proto::crypto::v1::{self as pb, admin_server::AdminServer};
use std::sync::Arc;
use tokio_stream::{Stream, StreamExt, iter};
use tonic::{Request, Response, Status, Streaming};

/// Records of a page where the caller does not say how many, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// Bytes of a piece of a backup.
const CHUNK: usize = 256 * 1024;

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> AdminServer<Admin> {
    AdminServer::new(Admin { core })
}

/// The service.
pub(super) struct Admin {
    core: Arc<Core>,
}

type Chunks = Box<dyn Stream<Item = Result<pb::BackupResponse, Status>> + Send + Unpin>;

#[tonic::async_trait]
impl pb::admin_server::Admin for Admin {
    async fn get_status(
        &self,
        request: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        Caller::of(&request)?.require("crypto", "read", "status")?;
        let core = &self.core;
        let store = core.store.backplane();
        let store_up = *store.health().borrow() == Health::Up;
        Ok(Response::new(pb::GetStatusResponse {
            node: core.context.node.to_string(),
            store: store.kind().to_owned(),
            store_up,
            root_key_id: core.root.id().to_owned(),
            keys: core.store.count(Table::Keys, "key/").await?,
            accounts: core.store.count(Table::Accounts, "account/").await?,
            queued_jobs: core.pool.waiting(),
            version: core.context.version.to_owned(),
        }))
    }

    async fn list_audit(
        &self,
        request: Request<pb::ListAuditRequest>,
    ) -> Result<Response<pb::ListAuditResponse>, Status> {
        Caller::of(&request)?.require("crypto", "read", "audit")?;
        let request = request.into_inner();
        let limit = match usize::try_from(request.page_size).unwrap_or(usize::MAX) {
            0 => PAGE,
            size if size <= MAX_PAGE => size,
            _ => return Err(Error::bad("page_size", format!("must not be more than {MAX_PAGE}")).into()),
        };
        let filter = Filter { operation_prefix: request.operation_prefix, who: request.who };
        let after = Some(request.page_token).filter(|token| !token.is_empty());
        let (records, next) = audit::read_page(&self.core.store, &filter, after, limit).await?;
        Ok(Response::new(pb::ListAuditResponse {
            records: records.into_iter().map(shown).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn verify_audit(
        &self,
        request: Request<pb::VerifyAuditRequest>,
    ) -> Result<Response<pb::VerifyAuditResponse>, Status> {
        Caller::of(&request)?.require("crypto", "read", "audit")?;
        let chains =
            audit::verify(&self.core.store).await?.into_iter().map(|(node, checked)| pb::AuditChain {
                node,
                records: checked.records,
                is_whole: checked.broken_at.is_none(),
                broken_at: checked.broken_at.unwrap_or_default(),
            });
        Ok(Response::new(pb::VerifyAuditResponse { chains: chains.collect() }))
    }

    type BackupStream = Chunks;

    async fn backup(&self, request: Request<pb::BackupRequest>) -> Result<Response<Chunks>, Status> {
        let caller = Caller::of(&request)?;
        caller.require("crypto", "backup", "store")?;
        let entry = Entry::of(&caller, "store.backup", "store");
        let made = backup::make(&self.core, &request.into_inner().password, entry.clone()).await;
        let made = recorded(&self.core, entry, made).await?;
        let made = Bytes::from(made);
        let chunks = (0..made.len()).step_by(CHUNK).map(move |start| {
            let end = made.len().min(start + CHUNK);
            Ok(pb::BackupResponse { chunk: made.slice(start..end) })
        });
        Ok(Response::new(Box::new(iter(chunks.collect::<Vec<_>>()))))
    }

    async fn restore(
        &self,
        request: Request<Streaming<pb::RestoreRequest>>,
    ) -> Result<Response<pb::RestoreResponse>, Status> {
        let caller = Caller::of(&request)?;
        caller.require("crypto", "restore", "store")?;
        let (password, bytes) = collect(request.into_inner()).await?;
        let entry = Entry::of(&caller, "store.restore", "store");
        let restored = backup::restore(&self.core, &password, &bytes, entry.clone()).await;
        let restored = recorded(&self.core, entry, restored).await?;
        Ok(Response::new(pb::RestoreResponse { keys: restored.keys, accounts: restored.accounts }))
    }
}

/// Records a refusal; a success was recorded with what it did.
async fn recorded<T>(core: &Core, entry: Entry, done: Result<T, Error>) -> Result<T, Error> {
    if let Err(error) = &done
        && let Err(unrecorded) = core.store.record(entry.refused(error)).await
    {
        tracing::error!(error = %unrecorded, "a refusal could not be recorded");
    }
    done
}

async fn collect(mut pieces: Streaming<pb::RestoreRequest>) -> Result<(String, Vec<u8>), Status> {
    let (mut password, mut bytes) = (String::new(), Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if bytes.is_empty() && password.is_empty() {
            password = piece.password;
        }
        if bytes.len() + piece.chunk.len() > backup::MAX_SIZE {
            return Err(Error::TooLarge { what: "the backup", limit: backup::MAX_SIZE as u64 }.into());
        }
        bytes.extend_from_slice(&piece.chunk);
    }
    Ok((password, bytes))
}

fn shown(record: Stored) -> pb::AuditRecord {
    let seconds = i64::try_from(record.at / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(record.at % 1000 * 1_000_000).unwrap_or_default();
    pb::AuditRecord {
        node: record.node,
        sequence: record.seq,
        time: Some(prost_types::Timestamp { seconds, nanos }),
        who: record.who,
        operation: record.op,
        target: record.target,
        outcome: record.outcome,
        detail: record.detail,
        hash: record.hash,
    }
}
