//! Signing in with a name and a password. Whatever is wrong, the answer and its cost are the same.

use super::sessions;
use crate::{
    accounts::{Name, attempts::Attempt, password},
    audit::Entry,
    core::Core,
    error::Error,
};
use patchbay_proto::crypto::v1::{Session, SignInRequest};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Begins a session.
pub(crate) async fn sign_in(
    core: &Arc<Core>,
    client: &str,
    request: SignInRequest,
) -> Result<Session, Error> {
    core.accounts.attempts.admit(Attempt::Address(client)).await?;
    let name = Name::account("name", &request.name).ok();
    if let Some(name) = &name {
        core.accounts.attempts.admit(Attempt::Name(name.as_str())).await?;
    }
    let SignInRequest { password, device, .. } = request;
    let password = Zeroizing::new(password);
    let done = try_sign_in(core, client, name.as_ref(), &password, &device).await;
    match &done {
        Ok(_) => {
            core.metrics.sign_ins.inc();
        }
        Err(error) => {
            core.metrics.failed_sign_ins.inc();
            // What is no name is not written down: it may be a password in the wrong field.
            let who = name.as_ref().map_or("", Name::as_str);
            let entry =
                Entry::by(who, "account.sign_in", who).refused(error).detail(format!("from {client}"));
            if let Err(error) = core.store.record(entry).await {
                tracing::warn!(%error, "a refused sign-in was not recorded");
            }
        }
    }
    done
}

async fn try_sign_in(
    core: &Arc<Core>,
    client: &str,
    name: Option<&Name>,
    password: &str,
    device: &str,
) -> Result<Session, Error> {
    let account = password::verify(core, name, password).await?;
    let who = account.name.as_str();
    let entry = Entry::by(who, "account.sign_in", who).detail(format!("from {client}"));
    sessions::begin(core, &account, device, Vec::new(), entry).await
}
