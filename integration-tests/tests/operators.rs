//! What an operator sees of a gateway, and what nobody sees.

use integration_tests::{
    gateway::{Gateway, Settings},
    verdict::TestResult,
};
use patchbay_testkit::{http, keys::Keys, ports::free_address};
use serde_json::Value;

const SECRET: &str = "correct-horse-battery";

#[tokio::test]
async fn secrets_are_neither_shown_nor_logged() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    // Nobody listens there: what is logged about it must not tell either.
    let url = format!("redis://operator:{SECRET}@{}", free_address());
    let settings = Settings::open().set("backplane.url", &url).set("log.level", "trace");
    let gateway = Gateway::start(folder.path(), "gateway", &keys, settings).await?;
    let token = keys.token("ada", &["chat:subscribe:*"])?;
    let mut client = patchbay_testkit::chat::ChatClient::with_token(&gateway.url(), &token).await?;
    client.refused("subscribe", serde_json::json!({"channel": "r"})).await?;
    for path in ["/config", "/readyz", "/metrics", "/version"] {
        let answer = http::get(gateway.ops, path, &[]).await?;
        assert!(!answer.body.contains(SECRET), "{path} shows the password of Redis");
    }
    let signature = token.rsplit('.').next().unwrap_or_default();
    let log = gateway.process.log();
    assert!(log.lines().count() > 5, "there is a log");
    assert!(!log.contains(SECRET), "the log has the password of Redis");
    assert!(!log.contains(signature), "the log has a token");
    Ok(())
}

#[tokio::test]
async fn the_configuration_is_shown_with_its_sources() -> TestResult {
    let folder = tempfile::tempdir()?;
    let keys = Keys::create(folder.path())?;
    let settings = Settings::open().set("rooms.default.history", &77);
    let gateway = Gateway::start(folder.path(), "gateway", &keys, settings).await?;
    let shown = http::get(gateway.ops, "/config", &[]).await?;
    let shown: Value = serde_json::from_str(&shown.body)?;
    let text = shown.to_string();
    assert!(
        text.contains("rooms.default.history") && text.contains("PATCHBAY_ROOMS__DEFAULT__HISTORY"),
        "{text}"
    );
    Ok(())
}
