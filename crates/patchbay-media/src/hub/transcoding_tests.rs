use super::{
    testing::{Act, Makers, Script, Workshop, audio, browser, hub, hub_with, name, until, video},
    *,
};
use crate::{Codec, Kind, track::KeyFrames};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

fn camera(hub: &Hub, source: &Arc<Script>) -> StreamName {
    let name = name("camera/door");
    hub.add(name.clone(), Arc::clone(source) as Arc<dyn Source>, Mode::OnDemand).unwrap();
    name
}

fn aac() -> Arc<Script> {
    Script::playing(vec![video(Codec::H264), audio(Codec::Aac)])
}

fn with_workshop(makers: &Arc<Makers>) -> Hub {
    let hub = hub();
    hub.transcode_with(Arc::new(Workshop(Arc::clone(makers))));
    hub
}

#[tokio::test(start_paused = true)]
async fn one_transcoder_serves_all_who_need_it_and_stops_after_them() {
    let makers = Makers::playing(&[Codec::Opus]);
    let (hub, source) = (with_workshop(&makers), aac());
    let name = camera(&hub, &source);
    // This one takes everything as it is, and keeps the source running to the end.
    let mut simple = hub.subscribe(&name, Wanted::anything()).unwrap();
    assert_eq!(simple.tracks().await.unwrap().audio.unwrap().info().codec, Codec::Aac);
    assert_eq!(makers.made.lock().len(), 0);
    let mut subscriptions: Vec<_> = (0..20).map(|_| hub.subscribe(&name, browser()).unwrap()).collect();
    let mut made = Vec::new();
    for subscription in &mut subscriptions {
        made.push(subscription.tracks().await.unwrap());
    }
    let first = made[0].audio.as_ref().unwrap();
    assert!(made.iter().all(|selected| Arc::ptr_eq(selected.audio.as_ref().unwrap(), first)));
    let why = "the viewer takes opus, the source has AAC".to_owned();
    let how = How::Transcoded { kind: Kind::Audio, from: Codec::Aac, to: Codec::Opus, why: why.clone() };
    assert_eq!(made[0].how[1], how);
    assert_eq!((makers.running(), hub.state(&name).unwrap().encoders), (1, 1));
    assert_eq!(hub.states().len(), 1);
    let figures = hub.figures(&name);
    let transcoded: Vec<_> = figures.iter().map(|figures| figures.transcoded.clone()).collect();
    assert_eq!(transcoded, [None, None, Some(why)]);
    drop((subscriptions, made));
    let left = Instant::now();
    sleep(9 * SECOND).await;
    assert_eq!(makers.running(), 1);
    until("the transcoder is stopped", || makers.running() == 0).await;
    assert!((9.9..10.6).contains(&left.elapsed().as_secs_f64()), "{:?}", left.elapsed());
    until("it is not counted", || hub.state(&name).unwrap().encoders == 0).await;
    assert_eq!(source.running(), 1);
    assert!(hub.inner.streams.lock().made.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_transcoder_follows_when_the_tracks_change() {
    let makers = Makers::playing(&[Codec::Opus]);
    let two = || vec![video(Codec::H264), audio(Codec::Aac)];
    let source = Script::new(move |_| Act::Change(5 * SECOND, two(), two()));
    let hub = with_workshop(&makers);
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    let first = subscription.tracks().await.unwrap();
    let second = subscription.tracks().await.unwrap();
    assert!(!Arc::ptr_eq(first.audio.as_ref().unwrap(), second.audio.as_ref().unwrap()));
    assert!(!Arc::ptr_eq(first.video.as_ref().unwrap(), second.video.as_ref().unwrap()));
    until("the old transcoder is gone", || makers.running() == 1).await;
    until("it is not counted", || hub.state(&name).unwrap().encoders == 1).await;
    let read: Vec<_> = makers.made.lock().iter().map(|(from, _)| from.ring().has_ended()).collect();
    assert_eq!(read, [true, false]);
    assert!(second.audio.unwrap().ring().written() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_transcoder_that_fails_leaves_the_pictures_and_comes_back() {
    let makers = Makers::new(&[Codec::Opus], |run, info| match run {
        1 => Act::Fail(SourceError::temporary("the encoder is out of order")),
        2 => Act::PlayFor(20 * SECOND, vec![(info, KeyFrames::AsTheyCome)]),
        _ => Act::Play(vec![(info, KeyFrames::AsTheyCome)]),
    });
    let (hub, source) = (with_workshop(&makers), aac());
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    let silent = subscription.tracks().await.unwrap();
    assert!(silent.audio.is_none());
    assert_eq!(
        silent.missing(),
        "the viewer takes opus, the source has AAC, and opus cannot be made of it: the encoder is out of order"
    );
    let video = silent.video.unwrap();
    for has_sound in [true, false, true] {
        let selected = subscription.tracks().await.unwrap();
        assert!(Arc::ptr_eq(&selected.video.unwrap(), &video));
        assert_eq!(selected.audio.is_some(), has_sound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transcoder_that_does_not_start_holds_nobody_up_for_long() {
    let makers = Makers::new(&[Codec::Opus], |_, _| Act::Hang);
    let (hub, source) = (with_workshop(&makers), aac());
    let name = camera(&hub, &source);
    let begun = Instant::now();
    let selected = hub.subscribe(&name, browser()).unwrap().tracks_or_failure().await.unwrap();
    assert_eq!((selected.video.is_some(), selected.audio.is_some()), (true, false));
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert!(selected.missing().contains("did not start within 10 s"));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_makes_is_missing_in_words() {
    let (hub, source) = (hub(), Script::playing(vec![video(Codec::H265)]));
    let name = camera(&hub, &source);
    let selected = hub.subscribe(&name, browser()).unwrap().tracks().await.unwrap();
    assert!(selected.is_empty());
    assert_eq!(
        selected.missing(),
        "the viewer takes H264, the source has H265, and nothing here makes H264 of it; the stream has no sound"
    );
}

#[tokio::test(start_paused = true)]
async fn reordered_pictures_are_made_anew_for_who_cannot_take_them() {
    let makers = Makers::playing(&[Codec::H264]);
    let mut reordered = video(Codec::H264);
    reordered.0.reordered = true;
    let (hub, source) = (with_workshop(&makers), Script::playing(vec![reordered]));
    let name = camera(&hub, &source);
    let selected = hub.subscribe(&name, browser()).unwrap().tracks().await.unwrap();
    assert!(!selected.video.unwrap().info().reordered);
    let How::Transcoded { from: Codec::H264, to: Codec::H264, why, .. } = &selected.how[0] else {
        panic!("{:?}", selected.how)
    };
    assert_eq!(why, "the H264 has pictures out of order (B-frames), which the viewer cannot take");
    let as_it_is = hub.subscribe(&name, Wanted::anything()).unwrap().tracks().await.unwrap();
    assert!(as_it_is.video.unwrap().info().reordered);
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_runs_serves_who_takes_its_codec_second_best() {
    let makers = Makers::playing(&[Codec::H264, Codec::Vp8]);
    let (hub, source) = (with_workshop(&makers), Script::playing(vec![video(Codec::H265)]));
    let name = camera(&hub, &source);
    let wanted = |video: &[Codec]| Wanted { video: video.to_vec(), ..Wanted::default() };
    let mut first = hub.subscribe(&name, wanted(&[Codec::H264, Codec::Vp8])).unwrap();
    assert_eq!(first.tracks().await.unwrap().video.unwrap().info().codec, Codec::H264);
    let mut second = hub.subscribe(&name, wanted(&[Codec::Vp8, Codec::H264])).unwrap();
    assert_eq!(second.tracks().await.unwrap().video.unwrap().info().codec, Codec::H264);
    let mut third = hub.subscribe(&name, wanted(&[Codec::Vp8])).unwrap();
    assert_eq!(third.tracks().await.unwrap().video.unwrap().info().codec, Codec::Vp8);
    assert_eq!(makers.running(), 2);
}

#[tokio::test(start_paused = true)]
async fn viewers_with_little_bandwidth_share_a_smaller_picture() {
    let makers = Makers::playing(&[Codec::H264]);
    let (hub, source) = (with_workshop(&makers), Script::playing(vec![video(Codec::H264)]));
    let name = camera(&hub, &source);
    let wanted = |height| Wanted {
        video: vec![Codec::H264],
        limit: Some(Limit { height, bit_rate: 500_000 }),
        ..Wanted::default()
    };
    let mut full = hub.subscribe(&name, Wanted { limit: None, ..wanted(0) }).unwrap();
    let as_it_is = full.tracks().await.unwrap().video.unwrap();
    let mut first = hub.subscribe(&name, wanted(240)).unwrap();
    let low = first.tracks().await.unwrap();
    let mut second = hub.subscribe(&name, wanted(240)).unwrap();
    let same = second.tracks().await.unwrap();
    assert!(Arc::ptr_eq(low.video.as_ref().unwrap(), same.video.as_ref().unwrap()));
    assert!(!Arc::ptr_eq(low.video.as_ref().unwrap(), &as_it_is));
    let How::Transcoded { why, .. } = &low.how[0] else { panic!("{low:?}") };
    assert_eq!(why, "a smaller picture for viewers with little bandwidth");
    let mut other = hub.subscribe(&name, wanted(120)).unwrap();
    other.tracks().await.unwrap();
    assert_eq!((makers.running(), hub.figures(&name).len()), (2, 3));
    assert!(makers.limits.lock().contains(&Some(Limit { height: 120, bit_rate: 500_000 })));
    drop((first, second, other));
    until("the renditions stop after the last", || makers.running() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn transcoders_have_a_limit() {
    let hub = hub_with(|config| config.max_transcoders = 1);
    hub.transcode_with(Arc::new(Workshop(Makers::playing(&[Codec::Opus, Codec::H264]))));
    let source = Script::playing(vec![video(Codec::H265), audio(Codec::Aac)]);
    let name = camera(&hub, &source);
    let selected = hub.subscribe(&name, browser()).unwrap().tracks().await.unwrap();
    assert_eq!((selected.video.is_some(), selected.audio.is_some()), (true, false));
    assert!(
        selected.missing().ends_with("1 transcoders run already, which is the limit"),
        "{}",
        selected.missing()
    );
}

/// Cameras that change their size publish anew while they still hold what they wrote before.
#[tokio::test(start_paused = true)]
async fn the_transcoder_of_old_tracks_takes_no_place_from_that_of_new_ones() {
    let hub = hub_with(|config| config.max_transcoders = 1);
    hub.transcode_with(Arc::new(Workshop(Makers::playing(&[Codec::Opus]))));
    let source = Script::new(|_| Act::Hang);
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    until("it runs", || !source.publishers.lock().is_empty()).await;
    let publisher = source.publishers.lock()[0].clone();
    let publish = || publisher.publish(vec![video(Codec::H264), audio(Codec::Aac)]).unwrap();
    let mut writers = Vec::new();
    for time in ["first", "second", "third"] {
        let new = publish();
        let selected = subscription.tracks().await.unwrap();
        assert!(selected.audio.is_some(), "{time}: {}", selected.missing());
        writers = new;
        // What was made of the old ones ends, and the place for what is ending with it.
        until("the old one is gone", || hub.inner.streams.lock().made.len() == 1).await;
    }
    drop(writers);
}

/// One that nobody needs any more runs on for a while, in case that somebody comes back.
#[tokio::test(start_paused = true)]
async fn a_transcoder_that_nobody_needs_makes_room_for_another_one() {
    let hub = hub_with(|config| config.max_transcoders = 1);
    let makers = Makers::playing(&[Codec::H264]);
    hub.transcode_with(Arc::new(Workshop(Arc::clone(&makers))));
    let name = camera(&hub, &Script::playing(vec![video(Codec::H264)]));
    let wanted = |height| Wanted {
        video: vec![Codec::H264],
        limit: Some(Limit { height, bit_rate: 500_000 }),
        ..Wanted::default()
    };
    let mut first = hub.subscribe(&name, wanted(240)).unwrap();
    first.tracks().await.unwrap();
    let mut second = hub.subscribe(&name, wanted(120)).unwrap();
    let refused = second.tracks().await.unwrap();
    assert!(refused.missing().ends_with("which is the limit"), "{}", refused.missing());
    drop(first);
    let mut third = hub.subscribe(&name, wanted(120)).unwrap();
    let selected = third.tracks().await.unwrap();
    assert!(selected.video.is_some(), "{}", selected.missing());
    until("the one before is gone", || makers.running() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn the_source_stops_though_a_transcoder_hung_on_it() {
    let makers = Makers::playing(&[Codec::Opus]);
    let (hub, source) = (with_workshop(&makers), aac());
    let name = camera(&hub, &source);
    let mut subscription = hub.subscribe(&name, browser()).unwrap();
    subscription.tracks().await.unwrap();
    drop(subscription);
    timeout(12 * SECOND, until("all is quiet", || source.running() + makers.running() == 0)).await.unwrap();
    until("nothing is kept", || hub.inner.streams.lock().made.is_empty()).await;
    hub.remove(&name);
}
