//! API keys of programs and credentials of devices.

use crate::world::{PASSWORD, World, reason, texts, with};
use anyhow::Result;
use patchbay_proto::crypto::v1 as pb;

async fn world() -> Result<(World, String, String)> {
    let mut world = World::start().await?;
    let admin = world.set_up().await?;
    world.create(&admin, "ada", &["chat:publish:*", "mqtt:subscribe:home/#"]).await?;
    let ada = world.sign_in("ada", PASSWORD).await?.token;
    Ok((world, admin, ada))
}

fn exchange(api_key: &str, scopes: &[&str]) -> pb::ExchangeApiKeyRequest {
    pb::ExchangeApiKeyRequest { api_key: api_key.into(), scopes: texts(scopes) }
}

#[tokio::test]
async fn an_api_key_gives_tokens_until_it_is_revoked() -> Result<()> {
    let (mut world, _, ada) = world().await?;
    let request = pb::CreateApiKeyRequest { scopes: texts(&["chat:publish:room/*"]), ..Default::default() };
    let made = world.one.accounts.create_api_key(with(&ada, request)).await?.into_inner();
    let (key, secret) = (made.api_key.unwrap(), made.secret);
    assert!(secret.starts_with(&format!("pbk_{}_", key.id)));
    let token = world.other.tokens.exchange_api_key(exchange(&secret, &[])).await?.into_inner().token;
    let identity = world.context.auth.verify(&token)?;
    assert_eq!(&*identity.subject, "ada");
    assert!(identity.allows("chat", "publish", "room/a") && !identity.allows("chat", "publish", "elsewhere"));
    let narrow = exchange(&secret, &["chat:publish:room/a"]);
    let narrow = world.one.tokens.exchange_api_key(narrow).await?.into_inner().token;
    assert!(!world.context.auth.verify(&narrow)?.allows("chat", "publish", "room/b"));
    let more = exchange(&secret, &["mqtt:subscribe:home/#"]);
    assert_eq!(reason(world.one.tokens.exchange_api_key(more).await), "BAD_REQUEST");
    let list = world.one.accounts.list_api_keys(with(&ada, pb::ListApiKeysRequest::default())).await?;
    let listed = list.into_inner().api_keys.pop().unwrap();
    assert!(listed.id == key.id && listed.last_used.is_some());
    // Somebody with the key's token cannot make himself another: it would outlive the first.
    let own = pb::CreateApiKeyRequest { scopes: texts(&["chat:publish:room/a"]), ..Default::default() };
    assert_eq!(reason(world.one.accounts.create_api_key(with(&token, own)).await), "PERMISSION_DENIED");

    let revoke = pb::RevokeApiKeyRequest { id: key.id.clone() };
    world.one.accounts.revoke_api_key(with(&ada, revoke.clone())).await?;
    for token in [&token, &narrow] {
        assert_eq!(world.context.auth.verify(token).unwrap_err().reason(), "TOKEN_REVOKED");
    }
    assert!(world.context.auth.verify(&ada).is_ok());
    assert_eq!(reason(world.other.tokens.exchange_api_key(exchange(&secret, &[])).await), "API_KEY_INVALID");
    assert_eq!(reason(world.one.accounts.revoke_api_key(with(&ada, revoke)).await), "PERMISSION_DENIED");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn wrong_api_keys_are_refused_and_limited() -> Result<()> {
    let mut world =
        World::start_with(|name, flags| flags.set(&format!("{name}.accounts.attempts_per_minute"), 4))
            .await?;
    let admin = world.set_up().await?;
    let made = world.one.accounts.create_api_key(with(&admin, pb::CreateApiKeyRequest::default())).await?;
    let secret = made.into_inner().secret;
    let mut wrong = secret.clone();
    wrong.replace_range(secret.len() - 1.., if secret.ends_with('A') { "B" } else { "A" });
    for bad in [wrong.as_str(), "", "pbk_x_y", "nonsense"] {
        assert_eq!(
            reason(world.one.tokens.exchange_api_key(exchange(bad, &[])).await),
            "API_KEY_INVALID",
            "{bad}"
        );
    }
    assert_eq!(reason(world.one.tokens.exchange_api_key(exchange(&wrong, &[])).await), "TOO_MANY_ATTEMPTS");
    assert!(world.one.tokens.exchange_api_key(exchange(&secret, &[])).await.is_ok(), "a neighbour's is good");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_given_for_an_api_key_or_a_credential_ends_with_it() -> Result<()> {
    let (mut world, admin, ada) = world().await?;
    let ttl = Some(prost_types::Duration { seconds: 30, nanos: 0 });
    let key = pb::CreateApiKeyRequest { ttl, ..Default::default() };
    let made = world.one.accounts.create_api_key(with(&ada, key)).await?.into_inner();
    let token = world.one.tokens.exchange_api_key(exchange(&made.secret, &[])).await?.into_inner();
    let end = |end: Option<prost_types::Timestamp>| end.map(|end| end.seconds);
    assert_eq!(end(token.expires), end(made.api_key.unwrap().expires));
    let credential = pb::CreateCredentialRequest { ttl, ..create("short", "") };
    let made = world.one.accounts.create_credential(with(&ada, credential)).await?.into_inner();
    let good = world.one.accounts.check_credential(with(&admin, check("short", &made.password))).await?;
    let cache_for = good.into_inner().cache_for.unwrap().seconds;
    assert!((1..=30).contains(&cache_for), "{cache_for}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_may_not_manage_a_credential_is_not_told_whose_it_is() -> Result<()> {
    let (mut world, _, ada) = world().await?;
    let eve = world.keys.token("eve", &[])?;
    world.one.accounts.create_credential(with(&ada, create("sensor", ""))).await?;
    let delete = |username: &str| {
        let protocol = pb::Protocol::Mqtt.into();
        with(&eve, pb::DeleteCredentialRequest { protocol, username: username.into() })
    };
    let there = world.one.accounts.delete_credential(delete("sensor")).await.unwrap_err();
    let not_there = world.one.accounts.delete_credential(delete("nothing")).await.unwrap_err();
    assert_eq!((there.code(), there.message()), (not_there.code(), not_there.message()));
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_api_key_never_allows_more_than_its_account_now() -> Result<()> {
    let (mut world, admin, ada) = world().await?;
    let made = world.one.accounts.create_api_key(with(&ada, pb::CreateApiKeyRequest::default())).await?;
    let secret = made.into_inner().secret;
    let update = |scopes: &[&str], disabled| pb::UpdateAccountRequest {
        name: "ada".into(),
        scopes: Some(pb::ScopeList { scopes: texts(scopes) }),
        disabled: Some(disabled),
        ..Default::default()
    };
    world.one.accounts.update_account(with(&admin, update(&["chat:publish:room/a"], false))).await?;
    assert!(world.context.auth.verify(&ada).is_err(), "a token that says more than is allowed now");
    // A revocation hits all tokens of its millisecond, so the next one is made in a later one.
    let revoked_by = world.context.clock.now_millis();
    while world.context.clock.now_millis() == revoked_by {
        tokio::task::yield_now().await;
    }
    let token = world.one.tokens.exchange_api_key(exchange(&secret, &[])).await?.into_inner().token;
    assert!(!world.context.auth.verify(&token)?.allows("chat", "publish", "room/b"));
    world.one.accounts.update_account(with(&admin, update(&["chat:publish:room/a"], true))).await?;
    assert!(world.context.auth.verify(&token).is_err());
    assert_eq!(reason(world.one.tokens.exchange_api_key(exchange(&secret, &[])).await), "API_KEY_INVALID");
    // The same name again is somebody else.
    let delete = pb::DeleteAccountRequest { name: "ada".into() };
    world.one.accounts.delete_account(with(&admin, delete)).await?;
    world.create(&admin, "ada", &[]).await?;
    assert_eq!(reason(world.one.tokens.exchange_api_key(exchange(&secret, &[])).await), "API_KEY_INVALID");
    world.process.stop().await;
    Ok(())
}

fn check(username: &str, password: &str) -> pb::CheckCredentialRequest {
    pb::CheckCredentialRequest {
        protocol: pb::Protocol::Mqtt.into(),
        username: username.into(),
        password: password.into(),
        client_address: "192.0.2.7".into(),
    }
}

fn create(username: &str, password: &str) -> pb::CreateCredentialRequest {
    pb::CreateCredentialRequest {
        protocol: pb::Protocol::Mqtt.into(),
        username: username.into(),
        password: password.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn gateways_have_credentials_checked() -> Result<()> {
    let (mut world, admin, ada) = world().await?;
    let broker = world.keys.token("broker", &["accounts:check:mqtt"])?;
    let made = world.one.accounts.create_credential(with(&ada, create("sensor-1", ""))).await?.into_inner();
    assert_eq!(made.password.len(), 43);
    let chosen = pb::CreateCredentialRequest {
        scopes: texts(&["mqtt:subscribe:home/kitchen"]),
        ..create("sensor-2", "a chosen password")
    };
    let chosen = world.one.accounts.create_credential(with(&ada, chosen)).await?.into_inner();
    assert!(chosen.password.is_empty(), "it is known already");
    let again = world.one.accounts.create_credential(with(&ada, create("sensor-1", ""))).await;
    assert_eq!(reason(again), "ALREADY_EXISTS");

    let good =
        world.other.accounts.check_credential(with(&broker, check("sensor-1", &made.password))).await?;
    let good = good.into_inner();
    assert!(good.is_valid && good.subject == "ada" && good.cache_for.is_some());
    assert_eq!(good.scopes, ["chat:publish:*", "mqtt:subscribe:home/#"]);
    let good =
        world.one.accounts.check_credential(with(&broker, check("sensor-2", "a chosen password"))).await?;
    let good = good.into_inner();
    assert!(good.is_valid && good.scopes == ["mqtt:subscribe:home/kitchen"]);
    for (username, password) in
        [("sensor-1", "wrong"), ("sensor-2", "wrong"), ("nobody", "x"), ("a b", "x"), ("sensor-2", "")]
    {
        let bad = world.one.accounts.check_credential(with(&broker, check(username, password))).await?;
        assert_eq!(bad.into_inner(), pb::CheckCredentialResponse::default(), "{username}");
    }
    let files = pb::CheckCredentialRequest { protocol: pb::Protocol::Files.into(), ..check("sensor-1", "x") };
    assert_eq!(reason(world.one.accounts.check_credential(with(&broker, files)).await), "PERMISSION_DENIED");
    let listed =
        world.one.accounts.list_credentials(with(&ada, pb::ListCredentialsRequest::default())).await?;
    assert_eq!(listed.into_inner().credentials.len(), 2);

    // Gateways find the session in revocations, and drop what they have cached.
    let another = world.another_process().await?;
    let mut revocations = another.revocations();
    revocations.mark_unchanged();
    let delete =
        pb::DeleteCredentialRequest { protocol: pb::Protocol::Mqtt.into(), username: "sensor-2".into() };
    world.one.accounts.delete_credential(with(&ada, delete)).await?;
    tokio::time::timeout(std::time::Duration::from_secs(5), revocations.changed()).await??;
    let identity = patchbay_auth::Identity {
        session: Some(good.session_id.as_str().into()),
        ..patchbay_auth::Identity::guest(&[])
    };
    assert!(another.is_revoked(&identity));
    let gone =
        world.one.accounts.check_credential(with(&broker, check("sensor-2", "a chosen password"))).await?;
    assert!(!gone.into_inner().is_valid);
    let audit = world.audit(&admin).await?;
    assert!(audit.iter().any(|(operation, ..)| operation == "credential.check"), "{audit:?}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn guessing_credentials_is_limited_and_good_ones_are_not() -> Result<()> {
    let mut world =
        World::start_with(|name, flags| flags.set(&format!("{name}.accounts.attempts_per_minute"), 3))
            .await?;
    let admin = world.set_up().await?;
    let made = world.one.accounts.create_credential(with(&admin, create("sensor", ""))).await?.into_inner();
    for _ in 0..10 {
        let good = world.one.accounts.check_credential(with(&admin, check("sensor", &made.password))).await?;
        assert!(good.into_inner().is_valid);
    }
    for _ in 0..3 {
        world.one.accounts.check_credential(with(&admin, check("sensor", "wrong"))).await?;
    }
    let more = world.other.accounts.check_credential(with(&admin, check("sensor", "wrong"))).await;
    assert_eq!(reason(more), "TOO_MANY_ATTEMPTS");
    let owner = world.one.accounts.check_credential(with(&admin, check("sensor", &made.password))).await?;
    assert!(owner.into_inner().is_valid, "nobody keeps the owner out");
    world.process.stop().await;
    Ok(())
}
