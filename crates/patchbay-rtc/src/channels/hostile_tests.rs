//! What a peer sends that no honest one would.

use super::tests::{Network, Side, message, settings};
use super::{ChannelEvent, ChannelId, Channels, Content, Guard, Limits, guard};
use bytes::Bytes;
use proptest::prelude::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::cmp::Reverse;

/// Sum over a packet whose own field counts as zero (RFC 9260, appendix A), so that damage gets past it.
fn seal(packet: &mut [u8]) {
    let Some(field) = packet.get_mut(8..12) else { return };
    field.fill(0);
    let sum = !packet.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0x82F6_3B78 & (sum & 1).wrapping_neg()))
    });
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
}

fn damage(packet: &mut Vec<u8>, random: &mut StdRng) {
    let below = |random: &mut StdRng, end: usize| usize::try_from(random.next_u32()).unwrap() % end.max(1);
    for _ in 0..=below(random, 4) {
        let place = 12 + below(random, packet.len().saturating_sub(12));
        match below(random, 4) {
            0 => packet.truncate(place),
            1 => packet.extend_from_within(12.min(packet.len())..),
            _ => {
                if let Some(byte) = packet.get_mut(place) {
                    *byte = random.next_u32().to_le_bytes()[0];
                }
            }
        }
    }
    packet.truncate(2000);
    seal(packet);
}

#[test]
fn damaged_packets_do_no_harm() {
    let (mut given, mut refused, mut ended) = (0, 0, 0);
    for seed in 0..300 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut network = Network::new(seed, 20, 4);
        let mut id = None;
        for _ in 0..60 {
            let now = network.now;
            network.collect(Side::Browser);
            let copies: Vec<Vec<u8>> =
                network.flying.iter().map(|Reverse((.., packet))| packet.clone()).collect();
            for mut packet in copies.into_iter().take(8) {
                damage(&mut packet, &mut random);
                network.server.handle(now, &packet);
                given += 1;
            }
            if id.is_none() {
                id = network.browser.open(now, settings("x")).ok();
            } else if let Some(id) = id {
                for side in [Side::Browser, Side::Server] {
                    refused += u32::from(
                        network.side(side).send(now, id, Content::Binary, message(7, 3000)).is_err(),
                    );
                }
            }
            while network.server.poll_event().is_some() {}
            while network.browser.poll_event().is_some() {}
            if !network.step() {
                break;
            }
        }
        ended += u32::from(network.server.is_closed());
    }
    println!(
        "{given} damaged packets, {ended} of 300 associations ended by them, {refused} messages refused"
    );
    assert!(given > 10_000);
}

#[test]
fn noise_does_no_harm() {
    let mut random = StdRng::seed_from_u64(12);
    let (mut network, _) = Network::new(12, 0, 0).opened(&settings("x"));
    let mut fresh = Channels::new(network.now, None, Limits::default());
    for round in 0..20_000_u32 {
        let mut noise = vec![0; usize::try_from(random.next_u32() % 200).unwrap()];
        random.fill_bytes(&mut noise);
        if round % 2 == 0 {
            seal(&mut noise);
        }
        network.server.handle(network.now, &noise);
        fresh.handle(network.now, &noise);
    }
    assert!(!network.server.is_closed(), "no tag is guessed");
    let now = network.now;
    assert!(network.server.send(now, ChannelId(0), Content::Text, Bytes::from("still here")).is_ok());
    assert!(matches!(network.until_event(Side::Browser), ChannelEvent::Message { .. }));
}

#[test]
fn resets_without_end_end_the_association() {
    let mut guard = Guard::default();
    let mut packet = vec![0; 12];
    packet.extend([130, 0, 0, 20]);
    packet.resize(32, 0);
    let passed = (0..100_000).take_while(|_| matches!(guard.check(&packet), guard::Verdict::Pass)).count();
    assert_eq!(passed, 1024 * 1024 / 20);
    assert!(matches!(guard.check(&packet), guard::Verdict::Flood));
}

#[test]
fn causes_of_errors_that_are_longer_than_their_chunk_are_passed_over() {
    for kind in [6, 9] {
        let (mut network, _) = Network::new(13, 0, 0).opened(&settings("x"));
        let now = network.now;
        network.browser.send(now, ChannelId(0), Content::Text, Bytes::from("a packet")).unwrap();
        network.collect(Side::Browser);
        let Some(Reverse((.., real))) = network.flying.iter().next().cloned() else { panic!("a packet") };
        for causes in [&[0, 1, 95, 150][..], &[0, 1, 0, 8, 1, 2, 3, 4, 0, 1, 0, 5], &[0, 1, 0, 3]] {
            let mut packet = real[..12].to_vec();
            packet.extend([kind, 0, 0, u8::try_from(4 + causes.len()).unwrap()]);
            packet.extend(causes);
            seal(&mut packet);
            network.server.handle(now, &packet);
            assert!(!network.server.is_closed());
        }
    }
}
