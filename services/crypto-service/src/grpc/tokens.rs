//! `patchbay.crypto.v1.Tokens`: tokens and sessions.

use super::{client, refusal::answer};
use crate::{
    accounts::{api_keys, timestamp},
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    tokens::{mint, sessions, sign_in},
};
use patchbay_proto::crypto::v1::{self as pb, revoke_tokens_request::Target, tokens_server::TokensServer};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Makes the server.
pub(super) fn server(core: Arc<Core>) -> TokensServer<Tokens> {
    TokensServer::new(Tokens { core })
}

/// The service.
pub(super) struct Tokens {
    core: Arc<Core>,
}

impl Tokens {
    fn client<T>(&self, request: &Request<T>) -> String {
        client::address(request, &self.core.config.listen.trusted_proxies)
    }
}

#[tonic::async_trait]
impl pb::tokens_server::Tokens for Tokens {
    async fn sign_in(
        &self,
        request: Request<pb::SignInRequest>,
    ) -> Result<Response<pb::SignInResponse>, Status> {
        let client = self.client(&request);
        let session = sign_in::sign_in(&self.core, &client, request.into_inner()).await?;
        Ok(Response::new(pb::SignInResponse { session: Some(session) }))
    }

    async fn refresh(
        &self,
        request: Request<pb::RefreshRequest>,
    ) -> Result<Response<pb::RefreshResponse>, Status> {
        let done = sessions::refresh(&self.core, &request.into_inner().refresh_token).await;
        if matches!(done, Err(Error::RefreshTokenInvalid)) {
            self.core.metrics.failed_sign_ins.inc();
        }
        Ok(Response::new(pb::RefreshResponse { session: Some(done?) }))
    }

    async fn sign_out(
        &self,
        request: Request<pb::SignOutRequest>,
    ) -> Result<Response<pb::SignOutResponse>, Status> {
        sessions::sign_out(&self.core, &request.into_inner().refresh_token).await?;
        Ok(Response::new(pb::SignOutResponse {}))
    }

    async fn exchange_api_key(
        &self,
        request: Request<pb::ExchangeApiKeyRequest>,
    ) -> Result<Response<pb::ExchangeApiKeyResponse>, Status> {
        let (client, request) = (self.client(&request), request.into_inner());
        let minted = api_keys::exchange(&self.core, &client, &request.api_key, &request.scopes).await?;
        let expires = Some(timestamp(minted.expires_at));
        Ok(Response::new(pb::ExchangeApiKeyResponse { token: minted.token, expires }))
    }

    async fn mint_token(
        &self,
        request: Request<pb::MintTokenRequest>,
    ) -> Result<Response<pb::MintTokenResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let entry = Entry::of(&caller, "token.mint", &request.subject);
        let done = mint::mint(core, &caller, request).await;
        answer(core, entry, done).await
    }

    async fn verify_token(
        &self,
        request: Request<pb::VerifyTokenRequest>,
    ) -> Result<Response<pb::VerifyTokenResponse>, Status> {
        Ok(Response::new(mint::verify(&self.core, &request.into_inner().token)))
    }

    async fn revoke_tokens(
        &self,
        request: Request<pb::RevokeTokensRequest>,
    ) -> Result<Response<pb::RevokeTokensResponse>, Status> {
        let (core, caller, request) = (&self.core, Caller::of(&request)?, request.into_inner());
        let target = match &request.target {
            Some(Target::Subject(subject)) => subject.as_str(),
            Some(Target::SessionId(id)) => id.as_str(),
            Some(Target::Token(_)) | None => "",
        };
        let entry = Entry::of(&caller, "token.revoke", target);
        let done = mint::revoke(core, &caller, request).await.map(|()| pb::RevokeTokensResponse {});
        answer(core, entry, done).await
    }

    async fn list_sessions(
        &self,
        request: Request<pb::ListSessionsRequest>,
    ) -> Result<Response<pb::ListSessionsResponse>, Status> {
        let (caller, request) = (Caller::of(&request)?, request.into_inner());
        let sessions = sessions::list(&self.core, &caller, &request.account).await?;
        Ok(Response::new(pb::ListSessionsResponse { sessions }))
    }

    async fn get_key_set(
        &self,
        _: Request<pb::GetKeySetRequest>,
    ) -> Result<Response<pb::GetKeySetResponse>, Status> {
        Ok(Response::new(pb::GetKeySetResponse { jwks_json: self.core.tokens.key_set()? }))
    }

    async fn rotate_signing_key(
        &self,
        request: Request<pb::RotateSigningKeyRequest>,
    ) -> Result<Response<pb::RotateSigningKeyResponse>, Status> {
        let (core, caller) = (&self.core, Caller::of(&request)?);
        let entry = Entry::of(&caller, "token.rotate_key", "");
        let done = match caller.require("tokens", "rotate", "*") {
            Ok(()) => core.tokens.rotate(entry.clone()).await,
            Err(error) => Err(error),
        };
        answer(core, entry, done.map(|key_id| pb::RotateSigningKeyResponse { key_id })).await
    }
}
