use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Tick {
    millis: i64,
    key: bool,
    size: usize,
}

impl Item for Tick {
    fn size(&self) -> usize {
        self.size
    }
    fn time(&self) -> MediaTime {
        MediaTime::from_nanos(self.millis * 1_000_000)
    }
    fn is_key(&self) -> bool {
        self.key
    }
}

fn tick(number: i64, every: i64) -> Tick {
    Tick { millis: number * 33, key: number % every == 0, size: 100 }
}

#[tokio::test]
async fn readers_get_every_item_in_order_and_then_the_end() {
    let (mut writer, handle) = ring(Caps::default());
    let mut reader = handle.reader(Start::Next);
    for number in 0..10 {
        writer.push(tick(number, 5));
    }
    drop(writer);
    for position in 0..10 {
        assert_eq!(reader.next().await.unwrap().entry.position, position);
    }
    assert_eq!(reader.next().await.unwrap_err(), Ended);
}

#[tokio::test]
async fn a_waiting_reader_is_woken() {
    let (mut writer, handle) = ring(Caps::default());
    let mut reader = handle.reader(Start::NextKey);
    let (read, ()) = tokio::join!(reader.next(), async {
        tokio::task::yield_now().await;
        writer.push(tick(1, 5));
        writer.push(tick(5, 5));
    });
    let read = read.unwrap();
    assert_eq!((read.entry.item.millis, read.skipped), (165, 1));
}

#[test]
fn a_late_reader_goes_on_at_the_newest_key_item() {
    let (mut writer, handle) = ring(Caps { items: 16, ..Caps::default() });
    writer.push(tick(0, 5));
    let mut reader = handle.reader(Start::NewestKey);
    for number in 1..43 {
        writer.push(tick(number, 5));
    }
    let read = reader.try_next().unwrap().unwrap();
    assert_eq!((read.entry.position, read.skipped), (40, 40));
}

#[test]
fn an_impatient_reader_skips_while_its_place_is_still_there() {
    let (mut writer, handle) = ring(Caps::default());
    writer.push(tick(0, 5));
    let mut reader = handle.reader(Start::NewestKey).with_patience(Duration::from_secs(1));
    for number in 1..30 {
        writer.push(tick(number, 5));
    }
    assert_eq!(reader.try_next().unwrap().unwrap().entry.position, 0, "957 ms is not late");
    for number in 30..40 {
        writer.push(tick(number, 5));
    }
    assert_eq!(reader.try_next().unwrap().unwrap().entry.position, 35);
}

#[test]
fn a_group_longer_than_the_ring_has_no_key_item() {
    let (mut writer, handle) = ring(Caps { bytes: 1000, ..Caps::default() });
    for number in 0..40 {
        writer.push(tick(number, 100));
    }
    assert_eq!((handle.newest_key(), handle.oldest(), handle.bytes()), (None, 30, 1000));
    assert!(handle.newest_group().is_empty());
    assert!(handle.reader(Start::NewestKey).try_next().unwrap().is_none());
}

proptest! {
    /// Whatever the caps and whenever it reads, a reader gets positions that rise, starts and restarts at key items only, and its counts add up.
    #[test]
    fn what_a_reader_gets_can_be_decoded(
        items in 2_usize..64, bytes in 200_usize..5000, patience in 50_u64..3000, every in 1_i64..20,
        steps in prop::collection::vec((0_i64..30, 0_usize..30), 1..40),
    ) {
        let (mut writer, handle) = ring(Caps { bytes, items, time: Duration::from_secs(2) });
        let mut reader = handle.reader(Start::NewestKey).with_patience(Duration::from_millis(patience));
        let (mut number, mut got, mut skipped, mut last) = (0, 0_u64, 0_u64, None);
        for (writes, reads) in steps {
            for _ in 0..writes {
                writer.push(tick(number, every));
                number += 1;
                prop_assert!(handle.bytes() <= bytes as u64 && handle.written() - handle.oldest() <= items.next_power_of_two() as u64);
            }
            for _ in 0..reads {
                let Some(read) = reader.try_next().unwrap() else { break };
                got += 1;
                skipped += read.skipped;
                let follows = last.is_some_and(|last: u64| last + 1 == read.entry.position);
                prop_assert!(follows || read.entry.item.key);
                prop_assert_eq!(follows, read.skipped == 0 && last.is_some() );
                prop_assert!(last.is_none_or(|last| last < read.entry.position));
                last = Some(read.entry.position);
                prop_assert_eq!(got + skipped, read.entry.position + 1);
            }
        }
    }

    /// Readers on other threads never see a torn or foreign item.
    #[test]
    fn threads_agree(items in 2_usize..32) {
        let (mut writer, handle) = ring::<Tick>(Caps { items, ..Caps::default() });
        let reader = handle.reader(Start::Next);
        let reading = std::thread::spawn(move || {
            let (mut reader, mut last) = (reader, -1);
            loop {
                match reader.try_next() {
                    Ok(Some(read)) => {
                        assert_eq!(read.entry.item.millis, i64::try_from(read.entry.position).unwrap() * 33);
                        assert!(read.entry.item.millis > last);
                        last = read.entry.item.millis;
                    }
                    Ok(None) => std::thread::yield_now(),
                    Err(Ended) => return,
                }
            }
        });
        for number in 0..2000 {
            writer.push(tick(number, 7));
        }
        drop(writer);
        reading.join().unwrap();
    }
}
