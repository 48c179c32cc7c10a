//! How soon a source that has failed is tried again, and for whom.

use super::*;

fn failing_until(run: usize) -> Arc<Script> {
    Script::new(
        move |now| {
            if now < run { Act::Fail(SourceError::temporary("no route")) } else { Act::Play(h264()) }
        },
    )
}

fn refusing(error: fn() -> SourceError) -> Arc<Script> {
    Script::new(move |_| Act::Fail(error()))
}

/// Whole seconds between the runs.
fn gaps(source: &Script) -> Vec<f64> {
    let starts = source.starts.lock().clone();
    starts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64().round()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_tried_again_ever_more_rarely() {
    let (hub, source, name) = (hub(), failing_until(8), name("camera/door"));
    hub.add(name.clone(), Arc::clone(&source) as Arc<dyn Source>, Mode::AlwaysOn).unwrap();
    let mut seen = hub.watch(&name).unwrap();
    timeout(120 * SECOND, seen.wait_for(|seen| seen.state == State::Live)).await.unwrap().unwrap();
    assert_eq!(gaps(&source), [1.0, 2.0, 5.0, 10.0, 30.0, 30.0, 30.0]);
    let seen = hub.state(&name).unwrap();
    assert_eq!((seen.starts, seen.retries, seen.detail.as_str()), (8, 7, ""));
}

#[tokio::test(start_paused = true)]
async fn while_somebody_watches_it_is_tried_every_two_seconds_and_he_stays() {
    let (hub, source) = (hub(), failing_until(8));
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    assert!(subscription.tracks().await.unwrap().video.is_some());
    assert_eq!(gaps(&source), [1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_has_begun_is_cut_when_somebody_comes_and_goes_on_when_he_leaves() {
    let (hub, source, name) = (hub(), failing_until(usize::MAX), name("camera/door"));
    hub.add(name.clone(), Arc::clone(&source) as Arc<dyn Source>, Mode::AlwaysOn).unwrap();
    until("five failures", || source.runs() == 5).await;
    sleep(3 * SECOND).await;
    assert!(hub.state(&name).unwrap().again_at.unwrap() > Instant::now() + 20 * SECOND);
    let begun = Instant::now();
    let mut newcomer = hub.subscribe(&name, browser()).unwrap();
    newcomer.tracks_or_failure().await.unwrap_err();
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    until("it waits", || hub.state(&name).unwrap().again_at.is_some()).await;
    assert!(hub.state(&name).unwrap().again_at.unwrap() < Instant::now() + 3 * SECOND);
    drop(newcomer);
    let later = || hub.state(&name).unwrap().again_at.is_some_and(|at| at > Instant::now() + 20 * SECOND);
    until("nobody waits any more", later).await;
    assert_eq!(source.runs(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_does_not_make_it_more_often_than_once_a_second() {
    let (hub, source) = (hub(), failing_until(usize::MAX));
    let name = camera(&hub, &source);
    let begun = Instant::now();
    while begun.elapsed() < 20 * SECOND {
        let _visitor = hub.subscribe(&name, browser()).unwrap();
        sleep(Duration::from_millis(10)).await;
    }
    assert!((10..=21).contains(&source.runs()), "{} runs in 20 s", source.runs());
}

#[tokio::test(start_paused = true)]
async fn what_only_a_change_can_mend_is_told_at_once_and_tried_rarely_whoever_comes() {
    let (hub, source) = (hub(), refusing(|| SourceError::permanent("there is no file a.mp4")));
    let name = camera(&hub, &source);
    let mut first = hub.subscribe(&name, browser()).unwrap();
    assert_eq!(first.tracks_or_failure().await.unwrap_err().to_string(), "there is no file a.mp4");
    let failed = Instant::now();
    while failed.elapsed() < 29 * SECOND {
        let mut newcomer = hub.subscribe(&name, browser()).unwrap();
        let begun = Instant::now();
        assert_eq!(newcomer.tracks_or_failure().await.unwrap_err().to_string(), "there is no file a.mp4");
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep(SECOND / 2).await;
    }
    assert!(timeout(600 * SECOND, first.tracks_or_failure()).await.is_err());
    assert_eq!((source.runs(), hub.state(&name).unwrap().again_at), (1, None));
    let mut newcomer = hub.subscribe(&name, browser()).unwrap();
    newcomer.tracks_or_failure().await.unwrap_err();
    first.tracks_or_failure().await.unwrap_err();
    assert_eq!(source.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_not_tried_more_than_three_times_in_half_an_hour() {
    let refused = || SourceError::permanent("wrong password").because(Reason::Unauthorized);
    let (hub, source) = (hub(), refusing(refused));
    let name = camera(&hub, &source);
    let begun = Instant::now();
    while begun.elapsed() < 29 * 60 * SECOND {
        let mut newcomer = hub.subscribe(&name, browser()).unwrap();
        assert_eq!(newcomer.tracks_or_failure().await.unwrap_err().to_string(), "wrong password");
        sleep(SECOND).await;
    }
    assert_eq!(source.runs(), 3);
    // Who mends it does not wait.
    hub.replace(&name, Script::playing(h264()), Mode::OnDemand).unwrap();
    let mut mended = hub.subscribe(&name, browser()).unwrap();
    timeout(SECOND, mended.tracks()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_that_may_be_taken_later_is_not_asked_for_more_often_because_somebody_watches() {
    let refused = || SourceError::temporary("again and again").because(Reason::Unauthorized);
    let (hub, source) = (hub(), refusing(refused));
    let name = camera(&hub, &source);
    let _watching = hub.subscribe(&name, browser()).unwrap();
    until("four runs", || source.runs() == 4).await;
    let _newcomers: Vec<_> = (0..10).map(|_| hub.subscribe(&name, browser()).unwrap()).collect();
    until("six runs", || source.runs() == 6).await;
    assert_eq!(gaps(&source), [1.0, 2.0, 5.0, 10.0, 30.0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_to_succeed_is_tried_soon_where_it_is_wanted() {
    let refused = || SourceError::permanent("wrong password").because(Reason::Unauthorized);
    let source = Script::new(move |run| if run == 1 { Act::Fail(refused()) } else { Act::Play(h264()) });
    let hub = hub();
    let name = camera(&hub, &source);
    // One that has not failed is not disturbed.
    hub.hasten(&name);
    let mut waiting = hub.subscribe(&name, browser()).unwrap();
    waiting.tracks_or_failure().await.unwrap_err();
    let failed = Instant::now();
    until("it has failed", || state(&hub, &name) == State::Failed).await;
    for _ in 0..3 {
        hub.hasten(&name);
    }
    waiting.tracks().await.unwrap();
    assert!((1.0..1.2).contains(&failed.elapsed().as_secs_f64()), "{:?}", failed.elapsed());
    assert_eq!(source.runs(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_mended_where_nobody_tells_comes_back_by_itself_after_half_an_hour() {
    let refused = || SourceError::permanent("wrong password").because(Reason::Unauthorized);
    let source = Script::new(move |run| if run < 3 { Act::Fail(refused()) } else { Act::Play(h264()) });
    let (hub, name) = (hub(), name("camera/door"));
    hub.add(name.clone(), Arc::clone(&source) as Arc<dyn Source>, Mode::AlwaysOn).unwrap();
    let mut seen = hub.watch(&name).unwrap();
    timeout(SECOND, seen.wait_for(|seen| seen.state == State::Failed)).await.unwrap().unwrap();
    assert!(timeout(1799 * SECOND, seen.wait_for(|seen| seen.state != State::Failed)).await.is_err());
    assert_eq!((source.runs(), hub.state(&name).unwrap().again_at), (1, None));
    timeout(1802 * SECOND, seen.wait_for(|seen| seen.state == State::Live)).await.unwrap().unwrap();
    assert_eq!(gaps(&source), [1800.0, 1800.0]);
}
