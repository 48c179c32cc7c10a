//! The first account.

use crate::world::{PASSWORD, World, reason};
use anyhow::Result;
use patchbay_proto::crypto::v1 as pb;

fn request(secret: &str, name: &str) -> pb::SetupRequest {
    pb::SetupRequest { secret: secret.into(), name: name.into(), password: PASSWORD.into() }
}

#[tokio::test]
async fn of_two_setups_at_once_one_wins() -> Result<()> {
    let mut world = World::start().await?;
    let secrets = world.setup_secrets();
    assert_eq!(secrets.len(), 2, "each replica has shown a link");
    assert!(world.one.accounts.get_setup(pb::GetSetupRequest {}).await?.into_inner().is_needed);
    let (one, other) = tokio::join!(
        world.one.accounts.setup(request(&secrets[0], "ada")),
        world.other.accounts.setup(request(&secrets[1], "eve")),
    );
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
    let (won, lost) = if one.is_ok() { (one, other) } else { (other, one) };
    assert_eq!(reason(lost), "SETUP_DONE");
    let token = won?.into_inner().session.unwrap().token;
    let accounts =
        world.one.accounts.list_accounts(crate::world::with(&token, pb::ListAccountsRequest::default()));
    let accounts = accounts.await?.into_inner().accounts;
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0].scopes, ["admin"]);
    assert!(!world.one.accounts.get_setup(pb::GetSetupRequest {}).await?.into_inner().is_needed);
    assert_eq!(reason(world.one.accounts.setup(request(&secrets[0], "mallory")).await), "SETUP_DONE");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_wrong_secret_and_bad_names_and_passwords_make_no_account() -> Result<()> {
    let mut world = World::start().await?;
    let secret = world.setup_secrets().pop().unwrap();
    let mut wrong = secret.clone();
    wrong.replace_range(..1, if secret.starts_with('A') { "B" } else { "A" });
    assert_eq!(reason(world.one.accounts.setup(request(&wrong, "ada")).await), "SETUP_SECRET_WRONG");
    assert_eq!(reason(world.one.accounts.setup(request("", "ada")).await), "SETUP_SECRET_WRONG");
    assert_eq!(reason(world.one.accounts.setup(request(&secret, "Ada Lovelace")).await), "BAD_REQUEST");
    for password in ["short", "aaaaaaaaaaaaaaa", "ada-ada-ada"] {
        let weak = pb::SetupRequest { password: password.into(), ..request(&secret, "ada") };
        assert_eq!(reason(world.one.accounts.setup(weak).await), "WEAK_PASSWORD", "{password}");
    }
    assert!(world.one.accounts.setup(request(&secret, "ada")).await.is_ok(), "the link is still good");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn guessing_the_setup_secret_is_limited() -> Result<()> {
    let mut world =
        World::start_with(|name, flags| flags.set(&format!("{name}.accounts.attempts_per_minute"), 2))
            .await?;
    for _ in 0..2 {
        assert_eq!(reason(world.one.accounts.setup(request("x", "ada")).await), "SETUP_SECRET_WRONG");
    }
    assert_eq!(reason(world.other.accounts.setup(request("x", "ada")).await), "TOO_MANY_ATTEMPTS");
    // Nobody fills the disk with records of that.
    let admin = world.keys.token("operator", &["admin"])?;
    let audit = world.audit(&admin).await?;
    assert!(audit.iter().any(|(.., outcome)| outcome == "SETUP_SECRET_WRONG"), "{audit:?}");
    assert!(!audit.iter().any(|(.., outcome)| outcome == "TOO_MANY_ATTEMPTS"), "{audit:?}");
    world.process.stop().await;
    Ok(())
}
