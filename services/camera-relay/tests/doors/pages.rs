//! The viewer page and its files.

use super::world::{World, header, with_guests};
use anyhow::Result;

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() -> Result<()> {
    let world = World::start().await?;
    for (path, root) in [("/", ""), ("/view/test", "../")] {
        let page = world.get(path).await?;
        assert_eq!(
            (page.status, header(&page, "content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        let policy = header(&page, "content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(
            !page.body.contains("{root}") && !page.body.contains("://") && !page.body.contains("<style"),
            "{path}"
        );
        assert!(page.body.contains(&format!("src=\"{root}viewer.js\"")), "{path}");
        assert_eq!(
            page.body.matches("<script").count(),
            page.body.matches("<script type=\"module\" src=").count()
        );
    }
    for file in ["viewer.js", "whep.js", "picture.js", "timecode.js", "figures.js", "texts.js"] {
        let script = world.get(&format!("/{file}")).await?;
        assert_eq!(
            (script.status, header(&script, "content-type")),
            (200, Some("text/javascript; charset=utf-8"))
        );
        for imported in script.body.lines().filter_map(|line| line.split_once(" from \"./")) {
            let other = imported.1.trim_end_matches("\";");
            assert_eq!(world.get(&format!("/{other}")).await?.status, 200, "{file} wants {other}");
        }
    }
    world.process.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_visitor_is_shown_what_it_may_see() -> Result<()> {
    let world = World::start().await?;
    let shown = world.get("/cameras.json").await?;
    assert_eq!((shown.status, shown.body.as_str()), (200, r#"{"cameras":[{"name":"test","title":""}]}"#));
    let token = world.token(&["media:view:other"])?;
    let nothing = world.get(&format!("/cameras.json?access_token={token}")).await?;
    assert_eq!((nothing.status, nothing.body.as_str()), (200, r#"{"cameras":[]}"#));
    let clock: serde_json::Value = serde_json::from_str(&world.get("/clock").await?.body)?;
    assert!(clock["now"].as_u64().is_some_and(|now| now > 1_700_000_000_000), "{clock}");
    world.process.stop().await;

    let closed = World::start_with(|flags| with_guests(flags).set("auth.guest.enabled", false)).await?;
    let refused = closed.get("/cameras.json").await?;
    assert_eq!((refused.status, header(&refused, "www-authenticate")), (401, Some("Bearer")));
    closed.process.stop().await;
    Ok(())
}
