//! Nobody gives what he does not have, and somebody can always administer.

use crate::world::{PASSWORD, World, reason, refresh, texts, with};
use anyhow::Result;
use patchbay_proto::crypto::v1 as pb;

/// A manager with few scopes, and others with more.
async fn world() -> Result<(World, String, String)> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    let scopes = ["accounts:write:*", "tokens:mint:*", "chat:publish:room/*"];
    world.create(&admin, "manager", &scopes).await?;
    world.create(&admin, "strong", &["keys:delete:*"]).await?;
    world.create(&admin, "weak", &["chat:publish:room/lobby"]).await?;
    put_group(&mut world, &admin, "admins", &["admin"]).await?;
    put_group(&mut world, &admin, "rooms", &["chat:publish:room/a"]).await?;
    let manager = world.sign_in("manager", PASSWORD).await?.token;
    Ok((world, admin, manager))
}

async fn put_group(world: &mut World, token: &str, name: &str, scopes: &[&str]) -> Result<(), tonic::Status> {
    let group = pb::Group { name: name.into(), scopes: texts(scopes), description: String::new() };
    world.one.accounts.put_group(with(token, pb::PutGroupRequest { group: Some(group) })).await.map(drop)
}

fn update(name: &str) -> pb::UpdateAccountRequest {
    pb::UpdateAccountRequest { name: name.into(), ..Default::default() }
}

fn scopes(scopes: &[&str]) -> pb::ScopeList {
    pb::ScopeList { scopes: texts(scopes) }
}

fn groups(groups: &[&str]) -> pb::GroupList {
    pb::GroupList { groups: texts(groups) }
}

#[tokio::test]
async fn nobody_grants_what_he_does_not_have() -> Result<()> {
    let (mut world, _, manager) = world().await?;
    let accounts = &mut world.one.accounts;
    let updates = [
        (
            "more scopes",
            pb::UpdateAccountRequest { scopes: Some(scopes(&["keys:delete:a"])), ..update("weak") },
        ),
        (
            "a wider glob",
            pb::UpdateAccountRequest { scopes: Some(scopes(&["chat:publish:*"])), ..update("weak") },
        ),
        ("admin", pb::UpdateAccountRequest { scopes: Some(scopes(&["admin"])), ..update("weak") }),
        (
            "a group with admin",
            pb::UpdateAccountRequest { groups: Some(groups(&["admins"])), ..update("weak") },
        ),
        ("himself", pb::UpdateAccountRequest { scopes: Some(scopes(&["admin"])), ..update("manager") }),
        ("who has more", pb::UpdateAccountRequest { display_name: Some("x".into()), ..update("strong") }),
        ("disable who has more", pb::UpdateAccountRequest { disabled: Some(true), ..update("strong") }),
        ("disable the administrator", pb::UpdateAccountRequest { disabled: Some(true), ..update("root") }),
    ];
    for (what, request) in updates {
        assert_eq!(reason(accounts.update_account(with(&manager, request)).await), "ESCALATION", "{what}");
    }
    let set = pb::SetPasswordRequest { name: "root".into(), password: "a much better one".into() };
    assert_eq!(reason(accounts.set_password(with(&manager, set)).await), "ESCALATION");
    let delete = pb::DeleteAccountRequest { name: "strong".into() };
    assert_eq!(reason(accounts.delete_account(with(&manager, delete)).await), "ESCALATION");
    let key = pb::CreateApiKeyRequest { account: "root".into(), ..Default::default() };
    assert_eq!(reason(accounts.create_api_key(with(&manager, key)).await), "ESCALATION");
    let credential = pb::CreateCredentialRequest {
        protocol: pb::Protocol::Mqtt.into(),
        username: "sensor".into(),
        account: "strong".into(),
        ..Default::default()
    };
    assert_eq!(reason(accounts.create_credential(with(&manager, credential)).await), "ESCALATION");
    let delete = pb::DeleteGroupRequest { name: "admins".into() };
    assert_eq!(reason(accounts.delete_group(with(&manager, delete)).await), "ESCALATION");
    assert_eq!(reason(world.create(&manager, "new", &["admin"]).await), "ESCALATION");
    for (group, scopes) in
        [("new", ["admin"]), ("rooms", ["keys:use:*"]), ("admins", ["chat:publish:room/a"])]
    {
        assert_eq!(reason(put_group(&mut world, &manager, group, &scopes).await), "ESCALATION", "{group}");
    }
    let mint = pb::MintTokenRequest { subject: "x".into(), scopes: texts(&["admin"]), ..Default::default() };
    assert_eq!(reason(world.one.tokens.mint_token(with(&manager, mint)).await), "ESCALATION");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_loses_scopes_by_a_group_loses_the_tokens_that_say_so() -> Result<()> {
    let (mut world, admin, _) = world().await?;
    put_group(&mut world, &admin, "keepers", &["keys:delete:*", "keys:read:*"]).await?;
    for (name, own) in [("loser", None), ("keeper", Some("keys:delete:*"))] {
        world.create(&admin, name, own.as_slice()).await?;
        let join = pb::UpdateAccountRequest { groups: Some(groups(&["keepers"])), ..update(name) };
        world.one.accounts.update_account(with(&admin, join)).await?;
    }
    let loser = world.sign_in("loser", PASSWORD).await?;
    let keeper = world.sign_in("keeper", PASSWORD).await?;
    put_group(&mut world, &admin, "keepers", &["keys:delete:*", "keys:read:*", "keys:list:*"]).await?;
    assert!(world.context.auth.verify(&loser.token).is_ok(), "more is no reason");
    put_group(&mut world, &admin, "keepers", &["keys:read:*", "keys:list:*"]).await?;
    assert_eq!(world.context.auth.verify(&loser.token).unwrap_err().reason(), "TOKEN_REVOKED");
    assert!(world.context.auth.verify(&keeper.token).is_ok(), "who has it by himself has lost nothing");
    let next = refresh(&mut world.other, &loser.refresh_token).await?;
    let identity = world.context.auth.verify(&next.token)?;
    assert!(identity.allows("keys", "list", "a") && !identity.allows("keys", "delete", "a"));
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_one_has_one_can_give() -> Result<()> {
    let (mut world, admin, manager) = world().await?;
    world.create(&manager, "new", &["chat:publish:room/b"]).await?;
    let request = pb::UpdateAccountRequest { groups: Some(groups(&["rooms"])), ..update("new") };
    world.one.accounts.update_account(with(&manager, request)).await?;
    let got =
        world.one.accounts.get_account(with(&admin, pb::GetAccountRequest { name: "new".into() })).await?;
    let effective = got.into_inner().effective_scopes;
    assert_eq!(effective, ["chat:publish:room/b", "chat:publish:room/a"]);
    let token = world.sign_in("new", PASSWORD).await?.token;
    assert!(world.context.auth.verify(&token)?.allows("chat", "publish", "room/a"));
    let delete = pb::DeleteGroupRequest { name: "rooms".into() };
    assert_eq!(reason(world.one.accounts.delete_group(with(&manager, delete)).await), "GROUP_IN_USE");
    let audit = world.audit(&admin).await?;
    let refused = ("group.delete".to_owned(), "rooms".to_owned(), "GROUP_IN_USE".to_owned());
    assert!(audit.contains(&refused), "{audit:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_last_administrator_stays() -> Result<()> {
    let (mut world, admin, _) = world().await?;
    let accounts = &mut world.one.accounts;
    let disable = |name: &str| pb::UpdateAccountRequest { disabled: Some(true), ..update(name) };
    assert_eq!(reason(accounts.update_account(with(&admin, disable("root"))).await), "LAST_ADMIN");
    let demote = pb::UpdateAccountRequest { scopes: Some(scopes(&["chat:publish:*"])), ..update("root") };
    assert_eq!(reason(accounts.update_account(with(&admin, demote)).await), "LAST_ADMIN");
    let delete = pb::DeleteAccountRequest { name: "root".into() };
    assert_eq!(reason(accounts.delete_account(with(&admin, delete.clone())).await), "LAST_ADMIN");
    // One by a group is one too, and then the group must keep the scope.
    let promote = pb::UpdateAccountRequest { groups: Some(groups(&["admins"])), ..update("weak") };
    accounts.update_account(with(&admin, promote)).await?;
    let token = world.sign_in("weak", PASSWORD).await?.token;
    world.one.accounts.delete_account(with(&token, delete)).await?;
    assert_eq!(reason(put_group(&mut world, &token, "admins", &["chat:publish:*"]).await), "LAST_ADMIN");
    let leave = pb::UpdateAccountRequest { groups: Some(groups(&[])), ..update("weak") };
    assert_eq!(reason(world.one.accounts.update_account(with(&token, leave)).await), "LAST_ADMIN");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn of_two_administrators_who_disable_each_other_one_stays() -> Result<()> {
    let (mut world, admin, _) = world().await?;
    world.create(&admin, "second", &["admin"]).await?;
    let second = world.sign_in("second", PASSWORD).await?.token;
    let disable = |name: &str| pb::UpdateAccountRequest { disabled: Some(true), ..update(name) };
    let (one, other) = tokio::join!(
        world.one.accounts.update_account(with(&admin, disable("second"))),
        world.other.accounts.update_account(with(&second, disable("root"))),
    );
    assert!(!(one.is_ok() && other.is_ok()), "nobody is left");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn scopes_must_fit_in_a_token() -> Result<()> {
    let (mut world, admin, _) = world().await?;
    let many: Vec<String> = (0..65).map(|index| format!("chat:publish:room/{index}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(reason(world.create(&admin, "many", &many).await), "BAD_REQUEST");
    world.create(&admin, "many", &many[..64]).await?;
    let join = pb::UpdateAccountRequest { groups: Some(groups(&["admins"])), ..update("many") };
    assert_eq!(reason(world.one.accounts.update_account(with(&admin, join)).await), "BAD_REQUEST");
    let long = "x".repeat(230);
    let long: Vec<String> = (0..20).map(|index| format!("chat:publish:{long}{index}")).collect();
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    assert_eq!(reason(world.create(&admin, "long", &long).await), "BAD_REQUEST");
    let missing = pb::UpdateAccountRequest { groups: Some(groups(&["nothing"])), ..update("weak") };
    assert_eq!(reason(world.one.accounts.update_account(with(&admin, missing)).await), "BAD_REQUEST");
    assert_eq!(reason(world.create(&admin, "bad", &["not a scope"]).await), "BAD_REQUEST");
    let token = world.sign_in("many", PASSWORD).await?.token;
    assert_eq!(world.context.auth.verify(&token)?.scopes.len(), 64);
    world.process.stop().await;
    Ok(())
}
