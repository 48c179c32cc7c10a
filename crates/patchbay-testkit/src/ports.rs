//! Free ports.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range from which systems take the ports of outgoing connections, of which load tests open thousands.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// Returns a loopback address on which nobody listens. Each call gives another one, and test processes that run
/// at the same time start at different places.
pub fn free_address() -> SocketAddr {
    let start = u16::try_from((process::id() * 97) % u32::from(COUNT)).expect("less than a port number");
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + (start + step) % COUNT));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}
