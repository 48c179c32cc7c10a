//! `patchbay.crypto.v1.Admin`: how the store is, what was done, and a copy of everything.

use super::{pieces::next, refusal::answer};
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
use std::{sync::Arc, time::Duration};
use tokio_stream::{Stream, iter};
use tonic::{Request, Response, Status, Streaming};
use zeroize::Zeroizing;

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
            root_key_id: core.root.id(),
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
        let (core, caller) = (&self.core, Caller::of(&request)?);
        let entry = Entry::of(&caller, "store.backup", "store");
        let password = Zeroizing::new(request.into_inner().password);
        let made = match caller.require("crypto", "backup", "store") {
            Ok(()) => backup::make(core, &password, entry.clone()).await,
            Err(error) => Err(error),
        };
        answer(core, entry, made.map(pieces)).await
    }

    async fn restore(
        &self,
        request: Request<Streaming<pb::RestoreRequest>>,
    ) -> Result<Response<pb::RestoreResponse>, Status> {
        let (core, caller) = (&self.core, Caller::of(&request)?);
        let entry = Entry::of(&caller, "store.restore", "store");
        let restored = match restore(core, &caller, request.into_inner(), entry.clone()).await {
            Ok(restored) => Ok(restored),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Interrupted(status)) => return Err(interrupted(core, entry, status).await),
        };
        answer(core, entry, restored).await
    }
}

/// Cuts a copy into pieces.
fn pieces(made: Vec<u8>) -> Chunks {
    let made = Bytes::from(made);
    let chunks = (0..made.len()).step_by(CHUNK).map(move |start| {
        let end = made.len().min(start + CHUNK);
        Ok(pb::BackupResponse { chunk: made.slice(start..end) })
    });
    Box::new(iter(chunks.collect::<Vec<_>>()))
}

/// Why a copy was not restored.
enum Failure {
    /// By this service.
    Refused(Error),
    /// The copy did not come to its end.
    Interrupted(Status),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Interrupted(status)
    }
}

async fn restore(
    core: &Core,
    caller: &Caller,
    pieces: Streaming<pb::RestoreRequest>,
    entry: Entry,
) -> Result<pb::RestoreResponse, Failure> {
    caller.require("crypto", "restore", "store")?;
    let (password, bytes) = collect(pieces, core.config.limits.patience()).await?;
    let restored = backup::restore(core, &password, &bytes, entry).await?;
    Ok(pb::RestoreResponse { keys: restored.keys, accounts: restored.accounts })
}

/// Records a copy that did not come to its end.
async fn interrupted(core: &Core, entry: Entry, status: Status) -> Status {
    let entry = Entry { outcome: "INTERRUPTED", ..entry.detail(status.code().description()) };
    if let Err(error) = core.store.record(entry).await {
        tracing::warn!(%error, "a refused call was not recorded");
    }
    status
}

async fn collect(
    mut pieces: Streaming<pb::RestoreRequest>,
    patience: Duration,
) -> Result<(Zeroizing<String>, Vec<u8>), Failure> {
    let (mut password, mut bytes) = (Zeroizing::new(String::new()), Vec::new());
    while let Some(piece) = next(&mut pieces, patience).await? {
        if bytes.is_empty() && password.is_empty() {
            password = Zeroizing::new(piece.password);
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
