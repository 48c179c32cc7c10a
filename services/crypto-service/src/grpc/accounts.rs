//! `patchbay.crypto.v1.Accounts`: who may do what. Each method checks its own resource in `accounts`, and refused changes are recorded.

use super::{client, refusal::answer};
use crate::{
    accounts::{self, api_keys, credentials, groups, manage, password},
    audit::Entry,
    caller::Caller,
    core::Core,
};
use patchbay_proto::crypto::v1::{self as pb, accounts_server::AccountsServer};
use std::sync::Arc;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> AccountsServer<Accounts> {
    AccountsServer::new(Accounts { core })
}

/// The service.
pub(super) struct Accounts {
    core: Arc<Core>,
}

#[tonic::async_trait]
impl pb::accounts_server::Accounts for Accounts {
    async fn get_setup(
        &self,
        _: Request<pb::GetSetupRequest>,
    ) -> Result<Response<pb::GetSetupResponse>, Status> {
        Ok(Response::new(pb::GetSetupResponse { is_needed: accounts::is_needed(&self.core).await? }))
    }

    async fn setup(&self, request: Request<pb::SetupRequest>) -> Result<Response<pb::SetupResponse>, Status> {
        let core = &self.core;
        let client = client::address(&request, &core.config.listen.trusted_proxies);
        let done = accounts::set_up(core, &client, request.into_inner()).await;
        let done = done.map(|session| pb::SetupResponse { session: Some(session) });
        answer(core, Entry::by("", "account.setup", ""), done).await
    }

    async fn create_account(
        &self,
        request: Request<pb::CreateAccountRequest>,
    ) -> Result<Response<pb::CreateAccountResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "account.create", &request.name);
        let done = manage::create(core, &caller, request)
            .await
            .map(|account| pb::CreateAccountResponse { account: Some(account) });
        answer(core, entry, done).await
    }

    async fn update_account(
        &self,
        request: Request<pb::UpdateAccountRequest>,
    ) -> Result<Response<pb::UpdateAccountResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "account.update", &request.name);
        let done = manage::update(core, &caller, request)
            .await
            .map(|account| pb::UpdateAccountResponse { account: Some(account) });
        answer(core, entry, done).await
    }

    async fn delete_account(
        &self,
        request: Request<pb::DeleteAccountRequest>,
    ) -> Result<Response<pb::DeleteAccountResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "account.delete", &request.name);
        let done = manage::delete(core, &caller, &request.name).await.map(|()| pb::DeleteAccountResponse {});
        answer(core, entry, done).await
    }

    async fn set_password(
        &self,
        request: Request<pb::SetPasswordRequest>,
    ) -> Result<Response<pb::SetPasswordResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "account.set_password", &request.name);
        let password = Zeroizing::new(request.password);
        let done =
            password::set(core, &caller, &request.name, &password).await.map(|()| pb::SetPasswordResponse {});
        answer(core, entry, done).await
    }

    async fn change_password(
        &self,
        request: Request<pb::ChangePasswordRequest>,
    ) -> Result<Response<pb::ChangePasswordResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "account.change_password", caller.subject());
        let [current, new] = [request.current_password, request.new_password].map(Zeroizing::new);
        let done =
            password::change(core, &caller, &current, &new).await.map(|()| pb::ChangePasswordResponse {});
        answer(core, entry, done).await
    }

    async fn unlock_account(
        &self,
        request: Request<pb::UnlockAccountRequest>,
    ) -> Result<Response<pb::UnlockAccountResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "account.unlock", &request.name);
        let done =
            password::unlock(core, &caller, &request.name).await.map(|()| pb::UnlockAccountResponse {});
        answer(core, entry, done).await
    }

    async fn put_group(
        &self,
        request: Request<pb::PutGroupRequest>,
    ) -> Result<Response<pb::PutGroupResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(
            &caller,
            "group.put",
            &request.group.as_ref().map(|group| group.name.clone()).unwrap_or_default(),
        );
        let done = groups::put(core, &caller, request.group.unwrap_or_default())
            .await
            .map(|group| pb::PutGroupResponse { group: Some(group) });
        answer(core, entry, done).await
    }

    async fn delete_group(
        &self,
        request: Request<pb::DeleteGroupRequest>,
    ) -> Result<Response<pb::DeleteGroupResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "group.delete", &request.name);
        let done = groups::delete(core, &caller, &request.name).await.map(|()| pb::DeleteGroupResponse {});
        answer(core, entry, done).await
    }

    async fn create_api_key(
        &self,
        request: Request<pb::CreateApiKeyRequest>,
    ) -> Result<Response<pb::CreateApiKeyResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "api_key.create", &request.account);
        let done = api_keys::create(core, &caller, request).await;
        answer(core, entry, done).await
    }

    async fn revoke_api_key(
        &self,
        request: Request<pb::RevokeApiKeyRequest>,
    ) -> Result<Response<pb::RevokeApiKeyResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "api_key.revoke", &request.id);
        let done = api_keys::revoke(core, &caller, &request.id).await.map(|()| pb::RevokeApiKeyResponse {});
        answer(core, entry, done).await
    }

    async fn create_credential(
        &self,
        request: Request<pb::CreateCredentialRequest>,
    ) -> Result<Response<pb::CreateCredentialResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "credential.create", &request.username);
        let done = credentials::create(core, &caller, request).await;
        answer(core, entry, done).await
    }

    async fn delete_credential(
        &self,
        request: Request<pb::DeleteCredentialRequest>,
    ) -> Result<Response<pb::DeleteCredentialResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "credential.delete", &request.username);
        let done = credentials::delete(core, &caller, request.protocol, &request.username)
            .await
            .map(|()| pb::DeleteCredentialResponse {});
        answer(core, entry, done).await
    }

    async fn get_account(
        &self,
        request: Request<pb::GetAccountRequest>,
    ) -> Result<Response<pb::GetAccountResponse>, Status> {
        let (caller, request) = (Caller::of(&request)?, request.into_inner());
        Ok(Response::new(manage::get(&self.core, &caller, &request.name).await?))
    }

    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let (caller, request) = (Caller::of(&request)?, request.into_inner());
        Ok(Response::new(manage::list(&self.core, &caller, request).await?))
    }

    async fn list_groups(
        &self,
        request: Request<pb::ListGroupsRequest>,
    ) -> Result<Response<pb::ListGroupsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(pb::ListGroupsResponse { groups: groups::list(&self.core, &caller).await? }))
    }

    async fn list_api_keys(
        &self,
        request: Request<pb::ListApiKeysRequest>,
    ) -> Result<Response<pb::ListApiKeysResponse>, Status> {
        let (caller, request) = (Caller::of(&request)?, request.into_inner());
        Ok(Response::new(pb::ListApiKeysResponse {
            api_keys: api_keys::list(&self.core, &caller, &request.account).await?,
        }))
    }

    async fn list_credentials(
        &self,
        request: Request<pb::ListCredentialsRequest>,
    ) -> Result<Response<pb::ListCredentialsResponse>, Status> {
        let (caller, request) = (Caller::of(&request)?, request.into_inner());
        Ok(Response::new(pb::ListCredentialsResponse {
            credentials: credentials::list(&self.core, &caller, &request.account).await?,
        }))
    }

    async fn check_credential(
        &self,
        request: Request<pb::CheckCredentialRequest>,
    ) -> Result<Response<pb::CheckCredentialResponse>, Status> {
        let (caller, request) = (Caller::of(&request)?, request.into_inner());
        Ok(Response::new(credentials::check(&self.core, &caller, request).await?))
    }
}
