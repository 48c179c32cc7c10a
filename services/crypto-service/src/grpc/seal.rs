//! `patchbay.crypto.v1.Seal`: opens and closes the store, and changes the keys that wrap everything.

use super::client;
use crate::{
    accounts::timestamp,
    audit::Entry,
    caller::Caller,
    error::Error,
    seal::{Seal, Wish},
};
use patchbay_proto::crypto::v1::{self as pb, seal_server::SealServer};
use std::sync::Arc;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

/// What the audit log names as the target.
const STORE: &str = "store";

/// Makes the server.
pub(crate) fn server(seal: &Arc<Seal>) -> SealServer<Seals> {
    SealServer::new(Seals { seal: Arc::clone(seal) })
}

/// The service.
pub(crate) struct Seals {
    seal: Arc<Seal>,
}

#[tonic::async_trait]
impl pb::seal_server::Seal for Seals {
    async fn get_seal_status(
        &self,
        _: Request<pb::GetSealStatusRequest>,
    ) -> Result<Response<pb::GetSealStatusResponse>, Status> {
        Ok(Response::new(self.status().await))
    }

    async fn initialize_seal(
        &self,
        request: Request<pb::InitializeSealRequest>,
    ) -> Result<Response<pb::InitializeSealResponse>, Status> {
        let (caller, entry) = managed(&request, "seal.initialize")?;
        let pb::InitializeSealRequest { shares, threshold } = request.into_inner();
        let done = match caller.require("crypto", "seal", STORE).and_then(|()| Wish::parse(shares, threshold))
        {
            Ok(wish) => self.seal.initialize(wish, entry.clone()).await,
            Err(error) => Err(error),
        };
        let answer = done.map(|texts| pb::InitializeSealResponse { shares: given(&texts) });
        self.answer(entry, answer).await
    }

    async fn unseal(
        &self,
        request: Request<pb::UnsealRequest>,
    ) -> Result<Response<pb::UnsealResponse>, Status> {
        let client = client::address(&request, &self.seal.config.listen.trusted_proxies);
        let pb::UnsealRequest { share, reset } = request.into_inner();
        let share = Zeroizing::new(share);
        let done = match (reset, share.is_empty()) {
            (true, true) => self.seal.reset(&client).await,
            (false, false) => self.to_its_end(|seal| async move { seal.unseal(&share, &client).await }).await,
            (true, false) => Err(Error::bad("reset", "must not be set beside a share")),
            (false, true) => Err(Error::bad("share", "must be given")),
        };
        if let Err(error) = done {
            return Err(self.refused(error));
        }
        Ok(Response::new(pb::UnsealResponse { status: Some(self.status().await) }))
    }

    async fn close_seal(
        &self,
        request: Request<pb::CloseSealRequest>,
    ) -> Result<Response<pb::CloseSealResponse>, Status> {
        let (caller, entry) = managed(&request, "seal.close")?;
        let done = match caller.require("crypto", "seal", STORE) {
            Ok(()) => {
                let entry = entry.clone();
                self.to_its_end(|seal| async move { seal.close_all(entry).await }).await
            }
            Err(error) => Err(error),
        };
        self.answer(entry, done.map(|()| pb::CloseSealResponse {})).await
    }

    async fn rotate_root_key(
        &self,
        request: Request<pb::RotateRootKeyRequest>,
    ) -> Result<Response<pb::RotateRootKeyResponse>, Status> {
        let (caller, entry) = managed(&request, "root.rotate")?;
        let done = match caller.require("crypto", "rotate", "root") {
            Ok(()) => self.rotate(entry.clone()).await,
            Err(error) => Err(error),
        };
        self.answer(entry, done).await
    }

    async fn begin_rekey(
        &self,
        request: Request<pb::BeginRekeyRequest>,
    ) -> Result<Response<pb::BeginRekeyResponse>, Status> {
        let (caller, entry) = managed(&request, "seal.rekey")?;
        let pb::BeginRekeyRequest { shares, threshold } = request.into_inner();
        let done = match caller.require("crypto", "seal", STORE).and_then(|()| Wish::parse(shares, threshold))
        {
            Ok(wish) => self.seal.begin_rekey(wish, entry.clone()).await,
            Err(error) => Err(error),
        };
        let answer = done.map(|texts| pb::BeginRekeyResponse { shares: given(&texts) });
        self.answer(entry, answer).await
    }

    async fn confirm_rekey(
        &self,
        request: Request<pb::ConfirmRekeyRequest>,
    ) -> Result<Response<pb::ConfirmRekeyResponse>, Status> {
        let (caller, entry) = managed(&request, "seal.rekey")?;
        let share = Zeroizing::new(request.into_inner().share);
        let done = match caller.require("crypto", "seal", STORE) {
            Ok(()) => self.to_its_end(|seal| async move { seal.confirm_rekey(&share).await }).await,
            Err(error) => Err(error),
        };
        let status = Some(self.status().await);
        self.answer(entry, done.map(|done| pb::ConfirmRekeyResponse { done, status })).await
    }
}

impl Seals {
    async fn rotate(&self, entry: Entry) -> Result<pb::RotateRootKeyResponse, Error> {
        self.to_its_end(|seal| async move { seal.rotate_root(entry).await }).await?;
        let root = self.seal.core()?.root.status();
        Ok(pb::RotateRootKeyResponse { root_key_id: root.id, root_generation: root.generation })
    }

    /// Does it to its end, also where the caller goes away meanwhile: what follows a commit, such as telling the other replicas, must not be left out.
    async fn to_its_end<T, F>(&self, work: impl FnOnce(Arc<Seal>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let work = work(Arc::clone(&self.seal));
        // Nobody may be there any more to be answered.
        self.seal.context.tasks.spawn("seal-change", async move { drop(answer.send(work.await)) });
        answered.await.map_err(Error::internal)?
    }

    /// Answers; what is refused is recorded where there is a log to record it in.
    async fn answer<T>(&self, entry: Entry, done: Result<T, Error>) -> Result<Response<T>, Status> {
        match self.seal.core() {
            Ok(core) => super::refusal::answer(&core, entry, done).await.map_err(|status| self.count(status)),
            Err(_) => done.map(Response::new).map_err(|error| self.refused(error)),
        }
    }

    fn refused(&self, error: Error) -> Status {
        self.count(error.into())
    }

    /// Counts a refusal; these calls do not pass where others are counted.
    fn count(&self, status: Status) -> Status {
        self.seal.metrics.refused_with(&status);
        status
    }

    /// How this replica is. What the store does not tell now is left out.
    async fn status(&self) -> pb::GetSealStatusResponse {
        let seal = &self.seal;
        let (sharing, initialized) = (seal.sharing().await, seal.is_initialized().await);
        let (core, progress) = (seal.core().ok(), seal.progress().await);
        let mut status = pb::GetSealStatusResponse {
            node: seal.context.node.to_string(),
            kind: kind(seal, &sharing).into(),
            initialized: initialized.unwrap_or(core.is_some()),
            sealed: core.is_none(),
            shares: progress.shares.into(),
            threshold: progress.threshold.into(),
            progress: u32::try_from(progress.brought).unwrap_or(u32::MAX),
            ..Default::default()
        };
        if let Ok(Some(sharing)) = sharing {
            (status.shares, status.threshold) = (sharing.shares.into(), sharing.threshold.into());
        }
        if let Some(core) = core {
            let root = core.root.status();
            status.root_created = (root.created > 0).then(|| timestamp(root.created / 1000));
            (status.root_key_id, status.root_generation) = (root.id, root.generation);
            status.rows_to_rewrap = core.sweep.left();
        }
        if let Ok(Some(rekey)) = seal.rekey().await {
            status.rekey_threshold = rekey.threshold.into();
            status.rekey_progress = u32::try_from(rekey.brought).unwrap_or(u32::MAX);
        }
        status
    }
}

fn managed<T>(request: &Request<T>, operation: &'static str) -> Result<(Caller, Entry), Error> {
    let caller = Caller::of(request)?;
    let entry = Entry::of(&caller, operation, STORE);
    Ok((caller, entry))
}

fn kind(seal: &Seal, sharing: &Result<Option<crate::root_key::Sharing>, Error>) -> pb::SealKind {
    let config = &seal.config.root_key;
    match sharing {
        Ok(Some(_)) => pb::SealKind::Shares,
        Ok(None) if config.shares => pb::SealKind::Shares,
        Ok(None) if config.file.is_some() => pb::SealKind::File,
        Ok(None) => pb::SealKind::Passphrase,
        Err(_) => pb::SealKind::Unspecified,
    }
}

/// Texts on their way out of the process.
fn given(texts: &[Zeroizing<String>]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}
