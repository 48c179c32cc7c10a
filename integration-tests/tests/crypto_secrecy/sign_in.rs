//! Whoever comes with a password, a token or something that is none.

use crate::{ACCOUNT, KEY, search::Canaries};
use anyhow::{Context, Result, ensure};
use futures_util::stream;
use integration_tests::crypto::{Client, Crypto};
use patchbay_proto::crypto::v1::{
    self as pb, accounts_client::AccountsClient, admin_client::AdminClient, keys_client::KeysClient,
    tokens_client::TokensClient,
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

fn keep(canaries: &mut Canaries, session: Option<pb::Session>) -> Result<pb::Session> {
    let session = session.context("no session")?;
    canaries.add("a session's token", session.token.as_bytes());
    canaries.add("a refresh token", session.refresh_token.as_bytes());
    Ok(session)
}

pub(crate) async fn accounts(crypto: &Crypto, client: &Client, canaries: &mut Canaries) -> Result<()> {
    let mut accounts = AccountsClient::new(client.clone());
    let mut tokens = TokensClient::new(client.clone());
    let password = canaries.make("password");
    let account = pb::CreateAccountRequest {
        name: ACCOUNT.into(),
        password: password.clone(),
        scopes: vec!["admin".into()],
        ..Default::default()
    };
    accounts.create_account(account).await?;
    let again = pb::CreateAccountRequest {
        name: "no name!".into(),
        password: canaries.make("refused account"),
        ..Default::default()
    };
    canaries.refused(accounts.create_account(again).await);
    let sign_in =
        |password: String| pb::SignInRequest { name: ACCOUNT.into(), password, ..Default::default() };
    let session = tokens.sign_in(sign_in(password.clone())).await?.into_inner().session;
    let session = keep(canaries, session)?;
    let wrong = canaries.make("wrong at sign-in");
    canaries.refused(tokens.sign_in(sign_in(wrong)).await);
    let refreshed = pb::RefreshRequest { refresh_token: session.refresh_token.clone() };
    let refreshed = tokens.refresh(refreshed).await?.into_inner().session;
    let session = keep(canaries, refreshed)?;
    let mut own = AccountsClient::new(crypto.client(&session.token)?);
    let mut change = pb::ChangePasswordRequest {
        current_password: canaries.make("wrong at change"),
        new_password: canaries.make("new password"),
    };
    canaries.refused(own.change_password(change.clone()).await);
    change.current_password = password;
    own.change_password(change).await?;
    let set = pb::SetPasswordRequest { name: ACCOUNT.into(), password: canaries.make("set password") };
    accounts.set_password(set).await?;
    let setup = pb::SetupRequest {
        secret: canaries.make("no setup secret"),
        name: "eve".into(),
        password: canaries.make("setup password"),
    };
    canaries.refused(AccountsClient::new(crypto.stranger()?).setup(setup).await);
    Ok(())
}

pub(crate) async fn api_keys_and_credentials(client: &Client, canaries: &mut Canaries) -> Result<()> {
    let mut accounts = AccountsClient::new(client.clone());
    let mut tokens = TokensClient::new(client.clone());
    let made = pb::CreateApiKeyRequest { account: ACCOUNT.into(), ..Default::default() };
    let made = accounts.create_api_key(made).await?.into_inner();
    canaries.add("an API key", made.secret.as_bytes());
    let mut exchange = pb::ExchangeApiKeyRequest { api_key: made.secret.clone(), ..Default::default() };
    let token = tokens.exchange_api_key(exchange.clone()).await?.into_inner().token;
    canaries.add("an API key's token", token.as_bytes());
    let wrong = canaries.make("wrong API key");
    // One that is none, and one whose secret is wrong.
    let (id, _) = made.secret.rsplit_once(['.', '_', '-']).context("an API key has an id")?;
    for api_key in [wrong.clone(), format!("{id}_{wrong}"), format!("{}{wrong}", made.secret)] {
        exchange.api_key = api_key;
        canaries.refused(tokens.exchange_api_key(exchange.clone()).await);
    }
    let credential = |username: &str, password: String| pb::CreateCredentialRequest {
        protocol: pb::Protocol::Mqtt.into(),
        username: username.into(),
        account: ACCOUNT.into(),
        password,
        ..Default::default()
    };
    let generated = accounts.create_credential(credential("sensor", String::new())).await?.into_inner();
    canaries.add("a credential", generated.password.as_bytes());
    let own = canaries.make("own credential");
    accounts.create_credential(credential("camera", own.clone())).await?;
    let wrong = canaries.make("wrong credential");
    for (password, is_right) in [(own, true), (wrong, false)] {
        let check = pb::CheckCredentialRequest {
            protocol: pb::Protocol::Mqtt.into(),
            username: "camera".into(),
            password,
            client_address: "192.0.2.7".into(),
        };
        let told = accounts.check_credential(check).await;
        ensure!(told.is_ok_and(|told| told.into_inner().is_valid) == is_right);
    }
    Ok(())
}

pub(crate) async fn tokens(client: &Client, canaries: &mut Canaries) -> Result<()> {
    let mut tokens = TokensClient::new(client.clone());
    let mint = pb::MintTokenRequest {
        subject: "device".into(),
        scopes: vec!["chat:publish:room/lobby".into()],
        ..Default::default()
    };
    let token = tokens.mint_token(mint).await?.into_inner().token;
    canaries.add("a minted token", token.as_bytes());
    let (signed, _) = token.rsplit_once('.').context("a token has parts")?;
    let verify = async |token: String| {
        let told = TokensClient::new(client.clone()).verify_token(pb::VerifyTokenRequest { token }).await;
        told.is_ok_and(|told| told.into_inner().is_valid)
    };
    ensure!(verify(token.clone()).await);
    ensure!(!verify(canaries.make("malformed token")).await);
    ensure!(!verify(format!("{signed}.{}", canaries.make("bad signature"))).await);
    let wrong = pb::RefreshRequest { refresh_token: canaries.make("wrong refresh") };
    canaries.refused(tokens.refresh(wrong).await);
    let target = pb::revoke_tokens_request::Target::Token(canaries.make("nothing to revoke"));
    canaries.refused(tokens.revoke_tokens(pb::RevokeTokensRequest { target: Some(target) }).await);
    Ok(())
}

/// Copies of everything.
pub(crate) async fn copies(client: &Client, canaries: &mut Canaries) -> Result<()> {
    let mut admin = AdminClient::new(client.clone());
    let password = canaries.make("copy password");
    let mut pieces = admin.backup(pb::BackupRequest { password: password.clone() }).await?.into_inner();
    let mut copy = Vec::new();
    while let Some(piece) = pieces.message().await? {
        copy.push(pb::RestoreRequest { password: password.clone(), chunk: piece.chunk });
    }
    canaries.refused(admin.restore(stream::iter(copy.clone())).await);
    let wrong = canaries.make("wrong copy password");
    for piece in &mut copy {
        piece.password.clone_from(&wrong);
    }
    canaries.refused(admin.restore(stream::iter(copy)).await);
    Ok(())
}

/// Whoever comes with a wrong credential by gRPC, REST and Vault's protocol, and requests that cannot be read.
pub(crate) async fn wrong_credentials(crypto: &Crypto, token: &str, canaries: &mut Canaries) -> Result<()> {
    let (signed, _) = token.rsplit_once('.').context("a token has parts")?;
    let forged = format!("{signed}.{}", canaries.make("forged signature"));
    let nonsense = canaries.make("no token");
    for wrong in [&forged, &nonsense] {
        let mut keys = KeysClient::new(crypto.client(wrong)?);
        canaries.refused(keys.list_keys(pb::ListKeysRequest::default()).await);
        for header in [format!("authorization: Bearer {wrong}"), format!("x-vault-token: {wrong}")] {
            canaries.refusals.push_str(&refused_by_rest(crypto, "/v1/keys", &header, "{}").await?);
            canaries
                .refusals
                .push_str(&refused_by_rest(crypto, "/v1/transit/encrypt/x", &header, "{}").await?);
        }
    }
    let bearer = format!("authorization: Bearer {token}");
    let path = format!("/v1/keys/{KEY}/encrypt");
    let secret = canaries.make("in a bad request");
    for body in [
        format!("{{\"plaintext\": \"{secret}%\"}}"),
        format!("{{\"{secret}\": 1}}"),
        format!("{{\"plaintext\": {secret}}}"),
    ] {
        // Who asks is told what is wrong with the words of the request; nobody else is.
        refused_by_rest(crypto, &path, &bearer, &body).await?;
    }
    Ok(())
}

async fn refused_by_rest(crypto: &Crypto, path: &str, header: &str, body: &str) -> Result<String> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n{header}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(crypto.http).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(Duration::from_secs(20), stream.read_to_string(&mut answer)).await??;
    ensure!(answer.starts_with("HTTP/1.1 4"), "{path} with {body} is refused: {answer}");
    Ok(answer)
}
