//! `FFmpeg` as the judge of our RTP: it decodes what we cut exactly as it decodes the file, and we put together what it sends exactly as the file has it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, whose helpers are tests too")]

mod elementary;
mod peer;

use bytes::Bytes;
use elementary::Elementary;
use patchbay_media::{
    Codec, Kind,
    rtp::{
        depacketize::{Depacketizer, Incoming, Unit},
        header::{Extensions, Header, Packet},
        packetize::{PAYLOAD_SIZE, Packetizer},
    },
};
use peer::{Receiver, Sender};
use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

const PAYLOAD_TYPE: u8 = 96;

/// Cuts units and sends them, three times as fast as they are played, so that no buffer of the system overflows.
fn send(elementary: &Elementary, units: &[Bytes], to: std::net::SocketAddr) -> usize {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut packetizer = Packetizer::new(elementary.codec, PAYLOAD_SIZE);
    let (mut sequence, mut timestamp) = (65_500_u16, u32::MAX - 20_000);
    let mut packet = vec![0; 1500];
    let mut packets = 0;
    for unit in units {
        let cut = packetizer.packetize(unit).unwrap();
        for (index, payload) in cut.iter().enumerate() {
            let header = Header {
                marker: cut.marker(index),
                payload_type: PAYLOAD_TYPE,
                sequence,
                timestamp: timestamp.wrapping_add(cut.timestamp_offset(index)),
                ssrc: 7,
            };
            let length = header.write(&Extensions::new(), &mut packet).unwrap();
            let end = length + payload.len();
            packet[length..end].copy_from_slice(payload);
            socket.send_to(&packet[..end], to).unwrap();
            sequence = sequence.wrapping_add(1);
            packets += 1;
        }
        timestamp = timestamp.wrapping_add(elementary.ticks);
        std::thread::sleep(Duration::from_secs(1) * elementary.ticks / elementary.clock_rate / 3);
    }
    packets
}

/// Sends all units to `FFmpeg`, and some again: they push the last frame out of its parser.
fn ffmpeg_receives(codec: Codec) {
    let elementary = Elementary::make(codec);
    let direct = elementary.decoded();
    // The last frame of a sound file is cut to the length of what was encoded.
    let frames = direct.len() - usize::from(codec.kind() == Kind::Audio);
    assert!(frames > 50, "{frames} frames");
    let peer = Receiver::start(&elementary, frames);
    let began = Instant::now();
    let again = elementary.units.iter().take(20);
    let units: Vec<_> = elementary.units.iter().chain(again).cloned().collect();
    let packets = send(&elementary, &units, peer.address());
    let received = peer.frames();
    println!("{codec:?}: {} units in {packets} packets, {frames} frames, {:?}", units.len(), began.elapsed());
    assert_eq!(received.len(), frames);
    assert_eq!(received, direct[..frames]);
}

#[test]
fn ffmpeg_decodes_our_h264() {
    ffmpeg_receives(Codec::H264);
}

#[test]
fn ffmpeg_decodes_our_h265() {
    ffmpeg_receives(Codec::H265);
}

#[test]
fn ffmpeg_decodes_our_vp8() {
    ffmpeg_receives(Codec::Vp8);
}

#[test]
fn ffmpeg_decodes_our_vp9() {
    ffmpeg_receives(Codec::Vp9);
}

#[test]
fn ffmpeg_decodes_our_opus() {
    ffmpeg_receives(Codec::Opus);
}

#[test]
fn ffmpeg_decodes_our_aac() {
    ffmpeg_receives(Codec::Aac);
}

#[test]
fn ffmpeg_decodes_our_g711() {
    ffmpeg_receives(Codec::Pcma);
}

/// Receives what `FFmpeg` sends until it has ended and nothing is left.
fn receive(codec: Codec, sender: &mut Sender) -> Vec<Unit> {
    let (mut depacketizer, mut units) = (Depacketizer::new(codec), Vec::new());
    let mut buffer = vec![0; 65_536];
    loop {
        let ended = sender.has_ended();
        let Some(size) = sender.receive(&mut buffer) else {
            if ended {
                return units;
            }
            continue;
        };
        let packet = Packet::parse(&buffer[..size]).unwrap();
        let Header { sequence, timestamp, marker, .. } = packet.header;
        depacketizer
            .push(Incoming { sequence, timestamp, marker, payload: packet.payload }, &mut units)
            .unwrap();
    }
}

fn ffmpeg_sends(codec: Codec) {
    let elementary = Elementary::make(codec);
    let mut sender = Sender::start(&elementary);
    let units = receive(codec, &mut sender);
    println!("{codec:?}: {} units of {}", units.len(), elementary.units.len());
    let received: Vec<_> = units.iter().map(|unit| unit.data.clone()).collect();
    assert!(units.iter().all(|unit| !unit.after_loss));
    if elementary.is_samples() {
        assert_eq!(received.concat(), elementary.units.concat());
        return;
    }
    // FFmpeg collects blocks of AAC and does not send those that it holds when the file ends.
    let unsent = if codec == Codec::Aac { 4 } else { 0 };
    assert!(received.len() <= elementary.units.len() && received.len() + unsent >= elementary.units.len());
    for (index, (ours, theirs)) in received.iter().zip(&elementary.units).enumerate() {
        assert!(elementary.same(ours, theirs), "unit {index}: {} and {} bytes", ours.len(), theirs.len());
    }
    let steps: Vec<_> =
        units.windows(2).map(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp)).collect();
    let nominal = steps.iter().filter(|step| step.abs_diff(elementary.ticks) <= 1).count();
    assert!(nominal * 10 >= steps.len() * 9, "{steps:?}");
}

#[test]
fn we_read_h264_from_ffmpeg() {
    ffmpeg_sends(Codec::H264);
}

#[test]
fn we_read_h265_from_ffmpeg() {
    ffmpeg_sends(Codec::H265);
}

#[test]
fn we_read_vp8_from_ffmpeg() {
    ffmpeg_sends(Codec::Vp8);
}

#[test]
fn we_read_vp9_from_ffmpeg() {
    ffmpeg_sends(Codec::Vp9);
}

#[test]
fn we_read_opus_from_ffmpeg() {
    ffmpeg_sends(Codec::Opus);
}

#[test]
fn we_read_aac_from_ffmpeg() {
    ffmpeg_sends(Codec::Aac);
}

#[test]
fn we_read_g711_from_ffmpeg() {
    ffmpeg_sends(Codec::Pcma);
}
