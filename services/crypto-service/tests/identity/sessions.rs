//! Refresh tokens, and what ends sessions everywhere.

use crate::world::{PASSWORD, World, reason, refresh, with};
use anyhow::Result;
use patchbay_auth::Authenticator;
use patchbay_proto::crypto::v1 as pb;
use patchbay_testkit::wait::wait_until;
use std::time::Duration;

/// Waits until another process does not believe a token.
async fn ends(another: &Authenticator, token: &str) -> Result<()> {
    let refused = async || another.verify(token).is_err_and(|error| error.reason() == "TOKEN_REVOKED");
    wait_until("the revocation to arrive", Duration::from_secs(5), refused).await.map(drop)
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_stolen_one_ends_the_session() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    let another = world.another_process().await?;
    let first = world.sign_in("root", PASSWORD).await?;
    let second = refresh(&mut world.other, &first.refresh_token).await?;
    let third = refresh(&mut world.one, &second.refresh_token).await?;
    assert!(first.session_id == third.session_id && third.refresh_token != second.refresh_token);
    assert!(another.verify(&third.token).is_ok());

    assert_eq!(reason(refresh(&mut world.other, &first.refresh_token).await), "REFRESH_TOKEN_INVALID");
    assert_eq!(reason(refresh(&mut world.one, &third.refresh_token).await), "REFRESH_TOKEN_INVALID");
    for token in [&first.token, &second.token, &third.token] {
        ends(&another, token).await?;
    }
    let audit = world.audit(&admin).await?;
    assert!(audit.iter().any(|(operation, ..)| operation == "session.refresh_reuse"), "{audit:?}");
    for bad in ["", "pbr_", "nonsense", &third.refresh_token.replace("pbr", "pbk")] {
        assert_eq!(reason(refresh(&mut world.one, bad).await), "REFRESH_TOKEN_INVALID");
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_knows_only_the_id_of_a_session_cannot_end_it() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    let session = world.sign_in("root", PASSWORD).await?;
    let made_up = format!("pbr_{}_{}", session.session_id, "A".repeat(43));
    assert_eq!(reason(refresh(&mut world.one, &made_up).await), "REFRESH_TOKEN_INVALID");
    world.other.tokens.sign_out(pb::SignOutRequest { refresh_token: made_up }).await?;
    // Nor with the secret of another session.
    let other = world.sign_in("root", PASSWORD).await?;
    let mixed = other.refresh_token.replace(&other.session_id, &session.session_id);
    assert_eq!(reason(refresh(&mut world.one, &mixed).await), "REFRESH_TOKEN_INVALID");
    assert!(world.context.auth.verify(&session.token).is_ok());
    assert!(refresh(&mut world.other, &session.refresh_token).await.is_ok(), "it goes on");
    let audit = world.audit(&admin).await?;
    let ends = ["session.refresh_reuse", "session.sign_out"];
    assert!(!audit.iter().any(|(operation, ..)| ends.contains(&operation.as_str())), "{audit:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn of_two_refreshes_at_once_at_most_one_goes_on() -> Result<()> {
    let mut world = World::start().await?;
    world.set_up().await?;
    let session = world.sign_in("root", PASSWORD).await?;
    let (one, other) = tokio::join!(
        refresh(&mut world.one, &session.refresh_token),
        refresh(&mut world.other, &session.refresh_token),
    );
    assert!(!(one.is_ok() && other.is_ok()));
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn signing_out_ends_the_session_everywhere() -> Result<()> {
    let mut world = World::start().await?;
    world.set_up().await?;
    let another = world.another_process().await?;
    let (session, kept) = (world.sign_in("root", PASSWORD).await?, world.sign_in("root", PASSWORD).await?);
    assert!(another.verify(&session.token).is_ok());
    let sign_out = pb::SignOutRequest { refresh_token: session.refresh_token.clone() };
    world.one.tokens.sign_out(sign_out.clone()).await?;
    world.one.tokens.sign_out(sign_out).await?;
    ends(&another, &session.token).await?;
    assert!(another.verify(&kept.token).is_ok());
    assert_eq!(reason(refresh(&mut world.one, &session.refresh_token).await), "REFRESH_TOKEN_INVALID");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn disabling_and_deleting_end_everything_at_once() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    let another = world.another_process().await?;
    world.create(&admin, "ada", &[]).await?;
    let session = world.sign_in("ada", PASSWORD).await?;
    assert!(another.verify(&session.token).is_ok());
    let disabled = |disabled| pb::UpdateAccountRequest {
        name: "ada".into(),
        disabled: Some(disabled),
        ..Default::default()
    };
    world.one.accounts.update_account(with(&admin, disabled(true))).await?;
    ends(&another, &session.token).await?;
    assert_eq!(reason(refresh(&mut world.other, &session.refresh_token).await), "REFRESH_TOKEN_INVALID");
    world.one.accounts.update_account(with(&admin, disabled(false))).await?;
    assert_eq!(reason(refresh(&mut world.other, &session.refresh_token).await), "REFRESH_TOKEN_INVALID");
    let session = world.sign_in("ada", PASSWORD).await?;
    assert!(another.verify(&session.token).is_ok(), "a later token is good");
    let delete = pb::DeleteAccountRequest { name: "ada".into() };
    world.other.accounts.delete_account(with(&admin, delete)).await?;
    ends(&another, &session.token).await?;
    assert_eq!(reason(refresh(&mut world.one, &session.refresh_token).await), "REFRESH_TOKEN_INVALID");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_owner() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    for name in ["ada", "eve"] {
        world.create(&admin, name, &[]).await?;
    }
    let (one, two) = (world.sign_in("ada", PASSWORD).await?, world.sign_in("ada", PASSWORD).await?);
    let eve = world.sign_in("eve", PASSWORD).await?;
    let list = pb::ListSessionsRequest::default();
    let listed = world.one.tokens.list_sessions(with(&one.token, list)).await?.into_inner().sessions;
    assert!(listed.len() == 2 && listed.iter().all(|session| session.device == "test"));
    let of_ada = pb::ListSessionsRequest { account: "ada".into() };
    assert_eq!(reason(world.one.tokens.list_sessions(with(&eve.token, of_ada)).await), "PERMISSION_DENIED");
    let session = |id: &str| pb::RevokeTokensRequest {
        target: Some(pb::revoke_tokens_request::Target::SessionId(id.into())),
    };
    let foreign = world.one.tokens.revoke_tokens(with(&eve.token, session(&two.session_id))).await;
    assert_eq!(reason(foreign), "PERMISSION_DENIED");
    world.one.tokens.revoke_tokens(with(&one.token, session(&two.session_id))).await?;
    assert!(world.context.auth.verify(&two.token).is_err() && world.context.auth.verify(&one.token).is_ok());
    assert_eq!(reason(refresh(&mut world.one, &two.refresh_token).await), "REFRESH_TOKEN_INVALID");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_session_that_is_not_refreshed_ends() -> Result<()> {
    let mut world =
        World::start_with(|name, flags| flags.set(&format!("{name}.tokens.refresh_ttl"), "2s")).await?;
    let admin = world.set_up().await?;
    let session = world.sign_in("root", PASSWORD).await?;
    let session = refresh(&mut world.one, &session.refresh_token).await?;
    let tokens = world.one.tokens.clone();
    let is_over = async || {
        let listed = tokens.clone().list_sessions(with(&admin, pb::ListSessionsRequest::default())).await;
        listed.is_ok_and(|listed| listed.into_inner().sessions.is_empty())
    };
    wait_until("the sessions to end", Duration::from_secs(10), is_over).await?;
    assert_eq!(reason(refresh(&mut world.one, &session.refresh_token).await), "REFRESH_TOKEN_INVALID");
    let audit = world.audit(&admin).await?;
    assert!(
        !audit.iter().any(|(operation, ..)| operation == "session.refresh_reuse"),
        "it is nobody's fault"
    );
    world.process.stop().await;
    Ok(())
}
