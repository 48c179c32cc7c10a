//! Signing in, locking, passwords.

use crate::world::{PASSWORD, World, reason, refresh, sign_in, with};
use anyhow::Result;
use patchbay_proto::crypto::v1 as pb;

#[tokio::test]
async fn a_refused_sign_in_says_the_same_whatever_is_wrong() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    world.create(&admin, "ada", &["chat:publish:*"]).await?;
    world.create(&admin, "gone", &[]).await?;
    let disable =
        pb::UpdateAccountRequest { name: "gone".into(), disabled: Some(true), ..Default::default() };
    world.one.accounts.update_account(with(&admin, disable)).await?;
    let program = pb::CreateAccountRequest { name: "program".into(), ..Default::default() };
    world.one.accounts.create_account(with(&admin, program)).await?;
    let mut answers = Vec::new();
    for (name, password) in [
        ("ada", "wrong"),
        ("nobody", PASSWORD),
        ("gone", PASSWORD),
        ("program", ""),
        ("program", PASSWORD),
        ("Not A Name", PASSWORD),
        ("ada", ""),
        ("ada", &"x".repeat(2000)),
    ] {
        let status = world.sign_in(name, password).await.unwrap_err();
        answers.push((status.code(), status.message().to_owned(), status.details().to_vec()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(world.sign_in("ada", PASSWORD).await.is_ok());
    let audit = world.audit(&admin).await?;
    let refused = ("account.sign_in".to_owned(), "ada".to_owned(), "SIGN_IN_FAILED".to_owned());
    assert!(audit.contains(&refused), "{audit:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn wrong_passwords_lock_a_name_whether_it_exists_or_not() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    world.create(&admin, "ada", &[]).await?;
    for name in ["ada", "nobody"] {
        // Over both replicas.
        for mut clients in [world.one.clone(), world.other.clone(), world.one.clone()] {
            assert_eq!(reason(sign_in(&mut clients, name, "wrong").await), "SIGN_IN_FAILED");
        }
    }
    assert_eq!(reason(world.sign_in("ada", PASSWORD).await), "SIGN_IN_FAILED", "it is locked");
    let get = |name: &str| with(&admin, pb::GetAccountRequest { name: name.into() });
    let account = world.one.accounts.get_account(get("ada")).await?.into_inner().account.unwrap();
    assert!(account.locked_until.is_some());
    let unlock = pb::UnlockAccountRequest { name: "ada".into() };
    world.other.accounts.unlock_account(with(&admin, unlock)).await?;
    assert!(world.sign_in("ada", PASSWORD).await.is_ok());
    let account = world.one.accounts.get_account(get("ada")).await?.into_inner().account.unwrap();
    assert!(account.locked_until.is_none() && account.last_sign_in.is_some());
    let audit = world.audit(&admin).await?;
    let locks = audit.iter().filter(|(operation, ..)| operation == "account.lock").count();
    assert_eq!(locks, 2, "{audit:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn success_forgets_wrong_passwords() -> Result<()> {
    let mut world = World::start().await?;
    world.set_up().await?;
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(reason(world.sign_in("root", "wrong").await), "SIGN_IN_FAILED");
        }
        assert!(world.sign_in("root", PASSWORD).await.is_ok());
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn attempts_from_one_address_are_limited_over_all_replicas() -> Result<()> {
    let mut world =
        World::start_with(|name, flags| flags.set(&format!("{name}.accounts.attempts_per_minute"), 4))
            .await?;
    for index in 0..4 {
        let clients = if index % 2 == 0 { &mut world.one } else { &mut world.other };
        assert_eq!(reason(sign_in(clients, &format!("name{index}"), "wrong").await), "SIGN_IN_FAILED");
    }
    assert_eq!(reason(world.sign_in("name5", "wrong").await), "TOO_MANY_ATTEMPTS");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn changing_a_password_ends_the_other_sessions_and_keeps_the_own() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    world.create(&admin, "ada", &[]).await?;
    let (own, other) = (world.sign_in("ada", PASSWORD).await?, world.sign_in("ada", PASSWORD).await?);
    let change = |current: &str, new: &str| pb::ChangePasswordRequest {
        current_password: current.into(),
        new_password: new.into(),
    };
    let wrong =
        world.one.accounts.change_password(with(&own.token, change("wrong", "a much better one"))).await;
    assert_eq!(reason(wrong), "SIGN_IN_FAILED");
    let weak = world.one.accounts.change_password(with(&own.token, change(PASSWORD, "short"))).await;
    assert_eq!(reason(weak), "WEAK_PASSWORD");
    world.one.accounts.change_password(with(&own.token, change(PASSWORD, "a much better one"))).await?;
    let auth = &world.context.auth;
    assert!(auth.verify(&own.token).is_ok());
    assert_eq!(auth.verify(&other.token).unwrap_err().reason(), "TOKEN_REVOKED");
    assert!(refresh(&mut world.other, &own.refresh_token).await.is_ok());
    assert_eq!(reason(refresh(&mut world.other, &other.refresh_token).await), "REFRESH_TOKEN_INVALID");
    assert_eq!(reason(world.sign_in("ada", PASSWORD).await), "SIGN_IN_FAILED");
    assert!(world.sign_in("ada", "a much better one").await.is_ok());
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn setting_a_password_lifts_a_lock_and_ends_all_sessions() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    world.create(&admin, "ada", &[]).await?;
    let session = world.sign_in("ada", PASSWORD).await?;
    for _ in 0..3 {
        assert_eq!(reason(world.sign_in("ada", "wrong").await), "SIGN_IN_FAILED");
    }
    let set = pb::SetPasswordRequest { name: "ada".into(), password: "a much better one".into() };
    world.one.accounts.set_password(with(&admin, set)).await?;
    assert!(world.context.auth.verify(&session.token).is_err());
    assert_eq!(reason(refresh(&mut world.one, &session.refresh_token).await), "REFRESH_TOKEN_INVALID");
    let session = world.sign_in("ada", "a much better one").await?;
    assert!(world.context.auth.verify(&session.token).is_ok(), "a token after the revocation is good");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn accounts_are_listed_by_pages_and_only_to_those_who_may() -> Result<()> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    for name in ["c", "a", "b"] {
        world.create(&admin, name, &[]).await?;
    }
    assert_eq!(reason(world.create(&admin, "a", &[]).await), "ALREADY_EXISTS");
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListAccountsRequest { page_size: 2, page_token };
        let page = world.one.accounts.list_accounts(with(&admin, request)).await?.into_inner();
        names.extend(page.accounts.into_iter().map(|account| account.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c", "root"]);
    let token = world.sign_in("a", PASSWORD).await?.token;
    let list = world.one.accounts.list_accounts(with(&token, pb::ListAccountsRequest::default())).await;
    assert_eq!(reason(list), "PERMISSION_DENIED");
    let other =
        world.one.accounts.get_account(with(&token, pb::GetAccountRequest { name: "b".into() })).await;
    assert_eq!(reason(other), "PERMISSION_DENIED");
    let own = world.one.accounts.get_account(with(&token, pb::GetAccountRequest::default())).await?;
    assert_eq!(own.into_inner().account.unwrap().name, "a");
    world.process.stop().await;
    Ok(())
}
