use super::*;
use patchbay_auth::Scope;

fn table(max: usize, per_address: usize, mjpeg: usize) -> ViewerTable {
    let media = Media { max_viewers: max, max_viewers_per_address: per_address, ..Media::default() };
    ViewerTable::with("camera-relay-a-1".into(), Ids::seeded(1), Clock::manual(7), &media, mjpeg)
}

fn newcomer(camera: &str, kind: ViewerKind, address: &str) -> Newcomer {
    Newcomer {
        camera: camera.parse().unwrap(),
        kind,
        identity: Arc::new(Identity::guest(&["media:view:*".parse::<Scope>().unwrap()])),
        address: address.parse().unwrap(),
    }
}

#[test]
fn places_are_bounded_and_given_back() {
    let table = table(3, 2, 1);
    let one = table.register(newcomer("a", ViewerKind::Whep, "192.0.2.1")).unwrap();
    let two = table.register(newcomer("a", ViewerKind::Mjpeg, "::ffff:192.0.2.1")).unwrap();
    let full = table.register(newcomer("a", ViewerKind::Whep, "192.0.2.1")).err();
    assert_eq!(full, Some(NoRoom::Address(2)));
    let full = table.register(newcomer("b", ViewerKind::Mjpeg, "192.0.2.2")).err();
    assert_eq!(full, Some(NoRoom::Door(1)));
    let _three = table.register(newcomer("b", ViewerKind::Whep, "2001:db8::1")).unwrap();
    let full = table.register(newcomer("b", ViewerKind::Whep, "192.0.2.3")).err();
    assert_eq!(full, Some(NoRoom::Replica(3)));
    drop((one, two));
    assert_eq!(table.count(), 1);
    let _again = table.register(newcomer("a", ViewerKind::Mjpeg, "192.0.2.1")).unwrap();
    // Another host of the same IPv6 network is the same customer.
    let _same = table.register(newcomer("a", ViewerKind::Whep, "2001:db8::2")).unwrap();
    assert_eq!(table.shared.inner.lock().by_address.len(), 2);
}

#[test]
fn what_was_sent_stays_counted() {
    let table = table(10, 10, 10);
    let figures =
        |packets_sent| Figures { packets_sent, bytes_sent: 10 * packets_sent, ..Figures::default() };
    let one = table.register(newcomer("a", ViewerKind::Whep, "192.0.2.1")).unwrap();
    one.measure(Arc::new(move || figures(5)));
    let two = table.register(newcomer("a", ViewerKind::Whep, "192.0.2.1")).unwrap();
    two.measure(Arc::new(move || figures(7)));
    assert_eq!((table.sent().packets, table.sent().bytes), (12, 120));
    drop(one);
    assert_eq!(table.sent().packets, 12);
    let a = "a".parse().unwrap();
    let (viewers, sent) = table.of_camera(&a);
    assert_eq!((viewers, sent.packets), (1, 12));
    table.camera_removed(two.camera());
    drop(two);
    assert_eq!(table.sent().packets, 12);
    assert_eq!(table.of_camera(&a), (0, Sent::default()));
    assert!(table.shared.inner.lock().by_camera.is_empty());
}

#[test]
fn one_camera_is_looked_at_without_measuring_the_viewers_of_others() {
    let table = table(10, 10, 10);
    let one = table.register(newcomer("a", ViewerKind::Whep, "192.0.2.1")).unwrap();
    let other = table.register(newcomer("b", ViewerKind::Whep, "192.0.2.1")).unwrap();
    one.measure(Arc::new(|| Figures { packets_sent: 3, ..Figures::default() }));
    other.measure(Arc::new(|| -> Figures { panic!("nobody has asked for this one") }));
    let (viewers, sent) = table.of_camera(one.camera());
    assert_eq!((viewers, sent.packets), (1, 3));
    std::mem::forget(other);
}

/// A sum that is made while a viewer leaves has taken it from the table, and measures it when its connection is gone.
#[test]
fn counts_never_go_back_when_a_viewer_leaves() {
    let table = table(10, 10, 10);
    let one = table.register(newcomer("a", ViewerKind::Whep, "192.0.2.1")).unwrap();
    let connection = Arc::new(5);
    let gone = Arc::downgrade(&connection);
    one.measure(Arc::new(move || Figures {
        packets_sent: gone.upgrade().map_or(0, |packets| *packets),
        ..Figures::default()
    }));
    let taken = Arc::clone(&one.entry);
    drop((one, connection));
    assert_eq!(taken.figures().packets_sent, 5);
    assert_eq!(table.sent().packets, 5);
}

#[test]
fn lists_go_by_id_in_pages() {
    let table = table(10, 10, 10);
    let kept: Vec<_> = (0..5)
        .map(|i| {
            table
                .register(newcomer(if i % 2 == 0 { "a" } else { "b" }, ViewerKind::Whep, "192.0.2.1"))
                .unwrap()
        })
        .collect();
    let all = table.list(None, None, 10);
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by(|a, b| a.id < b.id));
    let second = table.list(None, Some(&all[1].id), 2);
    assert_eq!(second, all[2..4]);
    assert_eq!(table.list(Some(&"b".parse().unwrap()), None, 10).len(), 2);
    let first = &kept[0];
    assert_eq!(table.find(first.id()).unwrap().id, *first.id());
    assert_eq!(first.id().replica(), "camera-relay-a-1");
    assert_eq!(ViewerId::parse(first.id().as_str()).as_ref(), Some(first.id()));
    for bad in ["", ".", "x", "x.1", &format!(".{}", "0".repeat(32)), &format!("x.{}", "g".repeat(32))] {
        assert_eq!(ViewerId::parse(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn somebody_who_is_kicked_learns_it_and_others_do_not() {
    let table = table(10, 10, 10);
    let one = table.register(newcomer("a", ViewerKind::Whep, "192.0.2.1")).unwrap();
    let two = table.register(newcomer("b", ViewerKind::Whep, "192.0.2.1")).unwrap();
    assert!(table.kick(one.id()));
    assert_eq!(one.sent_away().await, SentAway::Kicked);
    // The first word stays.
    table.camera_removed(one.camera());
    assert_eq!(one.sent_away().await, SentAway::Kicked);
    assert!(two.entry.sent_away.borrow().is_none());
    let id = one.id().clone();
    drop(one);
    assert!(!table.kick(&id));
}
