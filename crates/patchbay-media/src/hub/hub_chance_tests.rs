//! What holds whatever comes and goes, and whenever.

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Join,
    Leave,
    Wait(u64),
    Replace,
    AlwaysOn,
    OnDemand,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Join),
        4 => Just(Step::Leave),
        4 => (0..15_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Replace),
        1 => Just(Step::AlwaysOn),
        1 => Just(Step::OnDemand),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn whatever_happens_one_run_is_on_at_most_and_the_end_is_quiet(
        steps in proptest::collection::vec(step(), 1..40),
        fails in 1..4_usize,
    ) {
        paused().block_on(async {
            let hub = hub();
            let source = Script::new(move |run| match run % (fails + 1) {
                0 => Act::PlayFor(3 * SECOND, h264()),
                1 => Act::Play(h264()),
                2 => Act::Fail(SourceError::temporary("no")),
                _ => Act::Panic,
            });
            let name = camera(&hub, &source);
            let mut kept = Vec::new();
            for step in steps {
                match step {
                    Step::Join => kept.push(hub.subscribe(&name, browser()).unwrap()),
                    Step::Leave => drop(kept.pop()),
                    Step::Wait(millis) => sleep(Duration::from_millis(millis)).await,
                    Step::Replace => hub.replace(&name, Arc::clone(&source) as Arc<dyn Source>, Mode::OnDemand).unwrap(),
                    Step::AlwaysOn => hub.set_mode(&name, Mode::AlwaysOn).unwrap(),
                    Step::OnDemand => hub.set_mode(&name, Mode::OnDemand).unwrap(),
                }
                assert_eq!(hub.state(&name).unwrap().consumers, kept.len());
            }
            for subscription in &mut kept {
                timeout(120 * SECOND, subscription.tracks()).await.expect("tracks").unwrap();
            }
            hub.set_mode(&name, Mode::OnDemand).unwrap();
            drop(kept);
            advance(60 * SECOND).await;
            until("nothing runs", || source.running() == 0).await;
            assert!(source.most_running.load(Ordering::SeqCst) <= 1);
            assert!(matches!(state(&hub, &name), State::Idle | State::Failed));
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_come_and_go_and_leave_nothing_behind() {
    let hub = hub_with(|config| {
        config.linger = Duration::ZERO;
        config.retry = vec![Duration::from_millis(1)];
    });
    let source = Script::new(|run| match run % 3 {
        0 => Act::End,
        1 => Act::PlayFor(Duration::from_micros(100), h264()),
        _ => Act::Play(h264()),
    });
    let name = camera(&hub, &source);
    let begun = Instant::now();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (hub, name) = (hub.clone(), name.clone());
            tokio::runtime::Handle::current().spawn(async move {
                for _ in 0..20 {
                    let mut subscription = hub.subscribe(&name, browser()).unwrap();
                    timeout(10 * SECOND, subscription.tracks()).await.expect("tracks in time").unwrap();
                    drop(subscription);
                    sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    until("nothing runs", || source.running() == 0).await;
    println!("2000 subscriptions, {} runs, {:?}", source.runs(), begun.elapsed());
    assert_eq!(hub.state(&name).unwrap().consumers, 0);
    assert_eq!(source.most_running.load(Ordering::SeqCst), 1);
    assert!(source.runs() > 3, "the threads did not come and go");
}
