//! WHEP: each status, who gets it, and what goes with it.

use super::world::{FRAGMENT, OFFER, SDP, SOON, World, header, headers, reason, with_guests};
use anyhow::{Context as _, Result, ensure};
use patchbay_chassis::config::Layer;
use patchbay_testkit::{http::Answer, wait::wait_until};
use std::time::{Duration, Instant};

/// Name of the replica, session of a viewer that never was.
const NOBODY: &str = "00000000000000000000000000000000.00000000000000000000000000000000";

async fn begin(world: &World) -> Result<(String, String)> {
    let answer = world.post(OFFER).await?;
    ensure!(answer.status == 201, "{} {}", answer.head, answer.body);
    let location = header(&answer, "location").context("no location")?.to_owned();
    let tag = header(&answer, "etag").context("no entity tag")?.to_owned();
    Ok((location, tag))
}

async fn patch(world: &World, session: &str, tag: Option<&str>, fragment: &str) -> Result<Answer> {
    let condition = tag.map(|tag| ("if-match", tag));
    let headers: Vec<_> = std::iter::once(FRAGMENT).chain(condition).collect();
    world.ask("PATCH", session, &headers, fragment).await
}

/// The credentials of the offer, in a fragment with a candidate.
fn trickle() -> String {
    let credentials =
        OFFER.lines().filter(|line| line.starts_with("a=ice-ufrag:") || line.starts_with("a=ice-pwd:"));
    let credentials: Vec<_> = credentials.take(2).collect();
    format!(
        "{}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\r\n",
        credentials.join("\r\n")
    )
}

#[tokio::test]
async fn an_offer_begins_a_session() -> Result<()> {
    let world = World::start_with(|flags| {
        let server = patchbay_chassis::config::Value::from(std::collections::BTreeMap::from([(
            "urls",
            vec!["stun:stun.example.org:3478"],
        )]));
        with_guests(flags).set("camera-relay.media.ice_servers", vec![server])
    })
    .await?;
    let begun = Instant::now();
    let answer = world.post(OFFER).await?;
    println!("an answer from a camera that had to start took {:?}", begun.elapsed());
    assert_eq!(answer.status, 201, "{} {}", answer.head, answer.body);
    assert_eq!(header(&answer, "content-type"), Some("application/sdp"));
    assert_eq!(header(&answer, "accept-patch"), Some("application/trickle-ice-sdpfrag"));
    assert_eq!(header(&answer, "link"), Some("<stun:stun.example.org:3478>; rel=\"ice-server\""));
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
    let exposed = header(&answer, "access-control-expose-headers").unwrap_or_default();
    assert!(["location", "link", "etag"].iter().all(|name| exposed.contains(name)), "{exposed}");
    let tag = header(&answer, "etag").unwrap_or_default();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10, "{tag}");
    for line in ["a=ice-lite", "a=setup:passive", "a=sendonly", "a=end-of-candidates"] {
        assert!(answer.body.contains(line), "no {line} in {}", answer.body);
    }
    let candidates = answer.body.lines().filter(|line| line.starts_with("a=candidate:"));
    assert_eq!(
        candidates.filter(|line| line.contains(" 127.0.0.1 ")).count(),
        2,
        "udp and tcp: {}",
        answer.body
    );

    let viewers = world.viewers().await?;
    assert_eq!((viewers.len(), viewers[0]["kind"].as_str()), (1, Some("VIEWER_KIND_WHEP")));
    let viewer = viewers[0]["id"].as_str().unwrap_or_default();
    let location = header(&answer, "location").unwrap_or_default();
    assert!(location.starts_with(&format!("/whep/test/{viewer}.")), "{location}");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn behind_a_proxy_the_location_is_relative() -> Result<()> {
    let world = World::start_with(|flags| {
        with_guests(flags).set("camera-relay.listen.trusted_proxies", vec!["127.0.0.1"])
    })
    .await?;
    let headers = [SDP, ("x-forwarded-for", "203.0.113.9"), ("x-forwarded-host", "192.0.2.77:8000")];
    let answer = world.ask("POST", "/whep/test", &headers, OFFER).await?;
    let location = header(&answer, "location").context("no location")?;
    assert!(location.starts_with("test/"), "{location}");
    assert!(answer.body.contains(" 192.0.2.77 ") && !answer.body.contains(" 127.0.0.1 "), "{}", answer.body);
    assert_eq!(world.viewers().await?[0]["address"], "203.0.113.9");
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn each_refusal_has_its_status() -> Result<()> {
    let world = World::start().await?;
    let scoped = |scopes: &[&str]| world.token(scopes).map(|token| format!("Bearer {token}"));
    let (all, other) = (scoped(&["media:view:*"])?, scoped(&["media:view:other", "media:read:test"])?);
    let long = "a".repeat(70_000);
    let vp9_only: String = OFFER
        .replace("H264/90000", "XX/90000")
        .replace("VP8/90000", "XX/90000")
        .replace("AV1/90000", "XX/90000")
        .replace("H265/90000", "XX/90000");
    let sending = OFFER.replace("a=recvonly", "a=sendonly");
    let unknown = OFFER
        .replace("/90000", "/90001")
        .replace("opus/48000", "x/48000")
        .replace("PCM", "X")
        .replace("G722", "X");
    for (method, path, headers, body, status, code) in [
        ("POST", "/whep/test", vec![SDP, ("authorization", all.as_str())], OFFER, 201, ""),
        ("POST", "/whep/other", vec![SDP], OFFER, 401, "TOKEN_MISSING"),
        ("POST", "/whep/test", vec![SDP, ("authorization", "Bearer nonsense")], OFFER, 401, "TOKEN_INVALID"),
        ("POST", "/whep/test", vec![SDP, ("authorization", "Basic YTpi")], OFFER, 401, "TOKEN_MALFORMED"),
        ("POST", "/whep/test?access_token=nonsense", vec![SDP], OFFER, 401, "TOKEN_INVALID"),
        (
            "POST",
            "/whep/test?access_token=a",
            vec![SDP, ("authorization", all.as_str())],
            OFFER,
            400,
            "TWO_TOKENS",
        ),
        ("POST", "/whep/test", vec![SDP, ("authorization", other.as_str())], OFFER, 403, "PERMISSION_DENIED"),
        ("POST", "/whep/none", vec![SDP, ("authorization", all.as_str())], OFFER, 404, "NOT_FOUND"),
        ("POST", "/whep/a%2Fb", vec![SDP, ("authorization", all.as_str())], OFFER, 404, "NOT_FOUND"),
        ("GET", "/whep/test", vec![], "", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/whep/test/x", vec![], "", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/whep/test", vec![SDP], vp9_only.as_str(), 406, "NO_COMMON_CODEC"),
        ("POST", "/whep/test", vec![SDP], long.as_str(), 413, "TOO_LARGE"),
        ("POST", "/whep/test", vec![], OFFER, 415, "WRONG_TYPE"),
        ("POST", "/whep/test", vec![("content-type", "text/plain")], OFFER, 415, "WRONG_TYPE"),
        ("POST", "/whep/test", vec![("content-type", "Application/SDP; charset=utf-8")], OFFER, 201, ""),
        ("POST", "/whep/test", vec![SDP], "", 422, "BAD_OFFER"),
        ("POST", "/whep/test", vec![SDP], "hello", 422, "BAD_OFFER"),
        ("POST", "/whep/test", vec![SDP], sending.as_str(), 422, "BAD_OFFER"),
        ("POST", "/whep/test", vec![SDP], unknown.as_str(), 422, "BAD_OFFER"),
    ] {
        let answer = world.ask(method, path, &headers, body).await?;
        let what = format!("{method} {path} {headers:?}: {} {}", answer.status, answer.body);
        assert_eq!((answer.status, reason(&answer).as_str()), (status, code), "{what}");
        assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"), "{what}");
        assert_eq!(header(&answer, "www-authenticate").is_some(), status == 401, "{what}");
        assert_eq!(header(&answer, "allow").is_some(), status == 405, "{what}");
    }
    let codecs = world.post(&vp9_only).await?.body;
    assert!(codecs.contains("the viewer takes VP9") && codecs.contains("the camera has H264"), "{codecs}");
    world.process.stop().await;

    let closed = World::start_with(|flags| flags.set("auth.guest.enabled", false)).await?;
    let answer = closed.post(OFFER).await?;
    assert_eq!((answer.status, header(&answer, "www-authenticate")), (401, Some("Bearer")));
    closed.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn limits_say_when_to_come_back() -> Result<()> {
    type Change = fn(Layer) -> Layer;
    let limits: [(&str, Change, u16, &str); 3] = [
        ("all", |flags| flags.set("camera-relay.media.max_viewers", 1), 503, "LIMIT"),
        ("address", |flags| flags.set("camera-relay.media.max_viewers_per_address", 1), 503, "LIMIT"),
        (
            "rate",
            |flags| {
                flags
                    .set("camera-relay.limits.offers_burst", 1)
                    .set("camera-relay.limits.offers_per_second", 1)
            },
            429,
            "RATE",
        ),
    ];
    for (what, change, status, code) in limits {
        let world = World::start_with(|flags| change(with_guests(flags))).await?;
        let (session, _) = begin(&world).await?;
        let answer = world.post(OFFER).await?;
        assert_eq!((answer.status, reason(&answer).as_str()), (status, code), "{what}: {}", answer.body);
        assert!(
            header(&answer, "retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
            "{what}"
        );
        // Who goes makes room at once.
        assert_eq!(world.ask("DELETE", &session, &[], "").await?.status, 200);
        if status == 503 {
            begin(&world).await?;
        }
        world.process.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_changed_by_who_knows_its_newest_tag() -> Result<()> {
    let world = World::start().await?;
    let (session, tag) = begin(&world).await?;
    let fragment = trickle();
    assert_eq!(patch(&world, &session, Some(&tag), &fragment).await?.status, 204);
    assert_eq!(patch(&world, &session, Some("*"), &fragment).await?.status, 204);
    assert_eq!(patch(&world, &session, None, &fragment).await?.status, 428);
    assert_eq!(patch(&world, &session, Some("\"other\""), &fragment).await?.status, 412);
    let wrong_type = world.ask("PATCH", &session, &[SDP, ("if-match", &tag)], &fragment).await?;
    assert_eq!(wrong_type.status, 415);
    let bad = patch(&world, &session, Some(&tag), "a=candidate:nonsense\r\n").await?;
    assert_eq!((bad.status, reason(&bad).as_str()), (422, "BAD_OFFER"), "{}", bad.body);

    let restart = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";
    let answer = patch(&world, &session, Some("*"), restart).await?;
    assert_eq!((answer.status, header(&answer, "content-type")), (200, Some(FRAGMENT.1)), "{}", answer.body);
    let new = header(&answer, "etag").context("no entity tag")?.to_owned();
    assert_ne!(new, tag);
    for part in ["a=ice-ufrag:", "a=ice-pwd:", "a=candidate:"] {
        assert!(answer.body.contains(part), "no {part} in {}", answer.body);
    }
    assert!(!answer.body.contains("fingerprint"), "{}", answer.body);
    assert_eq!(patch(&world, &session, Some(&tag), restart).await?.status, 412, "the tag before is stale");
    assert_eq!(
        patch(&world, &session, Some(&new), restart).await?.status,
        204,
        "these credentials are in use"
    );
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_session_is_ended_once_and_may_be_ended_twice() -> Result<()> {
    let world = World::start().await?;
    let (session, tag) = begin(&world).await?;
    let id = session.rsplit_once('/').context("a path")?.1;
    let replica = id.rsplitn(3, '.').nth(2).context("a replica")?;
    for (path, words) in [
        (format!("/whep/other/{id}"), "of another camera"),
        (format!("/whep/test/{replica}.{NOBODY}"), "never was"),
        (format!("/whep/test/elsewhere-1.{NOBODY}"), "replica `elsewhere-1`, which is gone"),
        // The id of the viewer, which operators see, is not enough.
        (session.rsplit_once('.').context("a secret")?.0.to_owned(), "no such session"),
        ("/whep/test/x".to_owned(), "no such session"),
    ] {
        let answer = world.ask("DELETE", &path, &[], "").await?;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains(words), "{path}: {}", answer.body);
    }
    assert_eq!(world.viewers().await?.len(), 1);
    assert_eq!(world.ask("DELETE", &session, &[], "").await?.status, 200);
    assert_eq!(world.viewers().await?.len(), 0, "it has gone before the answer");
    assert_eq!(world.ask("DELETE", &session, &[], "").await?.status, 200);
    assert_eq!(patch(&world, &session, Some(&tag), &trickle()).await?.status, 404);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn pages_of_any_origin_may_ask() -> Result<()> {
    let world = World::start().await?;
    let (session, _) = begin(&world).await?;
    for (path, accept) in [("/whep/test", "accept-post"), (session.as_str(), "accept-patch")] {
        let asked = [
            ("origin", "null"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        let answer = world.ask("OPTIONS", path, &asked, "").await?;
        assert_eq!(
            (answer.status, header(&answer, "access-control-allow-origin")),
            (204, Some("*")),
            "{path}"
        );
        let allowed = header(&answer, "access-control-allow-headers").unwrap_or_default();
        assert!(
            ["authorization", "content-type", "if-match"].iter().all(|name| allowed.contains(name)),
            "{allowed}"
        );
        let methods = header(&answer, "access-control-allow-methods").unwrap_or_default();
        assert!(["POST", "PATCH", "DELETE"].iter().all(|name| methods.contains(name)), "{methods}");
        assert!(header(&answer, accept).is_some(), "{path} tells no {accept}");
        assert_eq!(headers(&answer, "access-control-allow-origin").count(), 1);
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_viewer_that_never_connects_is_forgotten() -> Result<()> {
    let world =
        World::start_with(|flags| with_guests(flags).set("camera-relay.media.connect_timeout", "300ms"))
            .await?;
    let (session, _) = begin(&world).await?;
    assert_eq!(world.viewers().await?.len(), 1);
    let took =
        wait_until("it is forgotten", SOON, async || world.viewers().await.is_ok_and(|all| all.is_empty()))
            .await?;
    println!("a viewer that never connected was forgotten after {took:?}");
    assert_eq!(world.ask("DELETE", &session, &[], "").await?.status, 200);
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_viewer_is_kicked_by_its_id() -> Result<()> {
    let world = World::start().await?;
    begin(&world).await?;
    let id = world.viewers().await?[0]["id"].as_str().unwrap_or_default().to_owned();
    let token = format!("Bearer {}", world.token(&["media:write:test"])?);
    let kicked = world.ask("DELETE", &format!("/v1/viewers/{id}"), &[("authorization", &token)], "").await?;
    assert_eq!(kicked.status, 200, "{}", kicked.body);
    wait_until("it has gone", SOON, async || world.viewers().await.is_ok_and(|all| all.is_empty())).await?;
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_revoked_token_ends_its_viewers_and_no_others() -> Result<()> {
    let world = World::start().await?;
    let token = format!("Bearer {}", world.token(&["media:view:test"])?);
    let headers = [SDP, ("authorization", token.as_str())];
    assert_eq!(world.ask("POST", "/whep/test", &headers, OFFER).await?.status, 201);
    begin(&world).await?;
    assert_eq!(world.viewers().await?.len(), 2);
    let now = world.core.context.clock.now_millis();
    world.core.context.auth.revoke(patchbay_auth::Revocation::subject("ada", now, now / 1000 + 3600));
    // Who asks must be somebody else from now on.
    let viewers = &world.core.viewers;
    let took = wait_until("one is left", SOON, async || viewers.count() == 1).await?;
    println!("a viewer whose token was revoked had gone after {took:?}");
    let left = viewers.list(None, None, 10);
    assert_eq!(left.first().map(|viewer| viewer.user.as_str()), Some(""), "the guest stays: {left:?}");
    let again = world.ask("POST", "/whep/test", &headers, OFFER).await?;
    assert_eq!((again.status, reason(&again).as_str()), (401, "TOKEN_INVALID"), "{}", again.body);
    world.process.stop().await;
    Ok(())
}

/// Changes a text in one of many ways.
fn mutate(text: &str, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0) % below.max(1)
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=random(3) {
        let (index, other) = (random(lines.len()), random(lines.len()));
        match random(6) {
            0 => drop(lines.remove(index)),
            1 => lines.insert(other, lines[index].clone()),
            2 => lines.swap(index, other),
            3 => lines[index] = lines[index].replace(|c: char| c.is_ascii_digit(), "99999999999"),
            4 => lines[index].truncate(random(12)),
            _ => {
                let line = std::mem::take(&mut lines[index]);
                let at = random(line.len());
                lines[index] =
                    line.chars().enumerate().map(|(i, c)| if i == at { '\u{7f}' } else { c }).collect();
            }
        }
    }
    lines.join("\r\n") + "\r\n"
}

#[tokio::test]
async fn whatever_is_offered_is_answered_at_once() -> Result<()> {
    let world = World::start_with(|flags| {
        with_guests(flags)
            .set("camera-relay.limits.offers_burst", 10_000)
            .set("camera-relay.media.connect_timeout", "2s")
    })
    .await?;
    begin(&world).await?;
    let (mut taken, mut refused, mut longest) = (0, 0, Duration::ZERO);
    for seed in 0..400 {
        let offer = mutate(OFFER, seed);
        let begun = Instant::now();
        let answer = world.post(&offer).await.with_context(|| format!("seed {seed}:\n{offer}"))?;
        longest = longest.max(begun.elapsed());
        match answer.status {
            201 => {
                taken += 1;
                let session = header(&answer, "location").context("no location")?;
                assert_eq!(world.ask("DELETE", session, &[], "").await?.status, 200);
            }
            406 | 422 => refused += 1,
            status => panic!("seed {seed}: {status} {}\n{offer}", answer.body),
        }
    }
    println!("{taken} taken, {refused} refused, longest {longest:?}");
    assert!(taken > 20 && refused > 20, "{taken} taken, {refused} refused");
    assert!(longest < Duration::from_secs(2), "an answer took {longest:?}");
    world.process.stop().await;
    Ok(())
}
