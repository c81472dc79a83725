//! A TCP relay in front of a peer, which counts what the peer sends (or what is sent to it), holds it
//! at a given number of bytes, lets it go on, or cuts all connections.
//!
//! A directory lists a peer also at the address it listens on, which would lead around the relay.
//! So the peer listens on an address of the loopback network where it is not looked for
//! ([`Relay::TARGET`]; the directory sees it come from 127.0.0.1), and names so many addresses of
//! the relay that its own is no longer among those kept.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::process::DEADLINE;

/// Addresses that a directory keeps of a peer, besides the one that it was seen at.
const ADDRESSES: u8 = 15;

struct Shared {
    target: AtomicU16,
    /// Whether what is sent to the peer is counted and held, instead of what it sends.
    is_upwards: AtomicBool,
    gate: Mutex<Gate>,
    changed: Condvar,
    closed: AtomicBool,
}

struct Gate {
    /// Bytes that the provider may still send; none for any number.
    left: Option<usize>,
    sent: u64,
    connections: Vec<TcpStream>,
    is_cut: bool,
}

/// The relay; ends when dropped.
pub struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

impl Relay {
    /// Where the peer behind a relay listens.
    pub const TARGET: &str = "127.0.0.2";

    /// Lets everything through until it is told to hold.
    pub fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target: AtomicU16::new(0),
            is_upwards: AtomicBool::new(false),
            gate: Mutex::new(Gate {
                left: None,
                sent: 0,
                connections: Vec::new(),
                is_cut: false,
            }),
            changed: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || {
            for incoming in listener.incoming() {
                if accepting.closed.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(incoming) = incoming {
                    accepting.join(incoming);
                }
            }
        });
        Self { port, shared }
    }

    /// Holds the provider once it has sent so many bytes more.
    pub fn holding_after(bytes: usize) -> Self {
        let relay = Self::open();
        relay.hold_after(bytes);
        relay
    }

    /// Holds whoever sends to the peer once so many bytes went there.
    pub fn holding_received(bytes: usize) -> Self {
        let relay = Self::open();
        relay.shared.is_upwards.store(true, Ordering::SeqCst);
        relay.hold_after(bytes);
        relay
    }

    /// Holds the provider once it has sent so many bytes more.
    pub fn hold_after(&self, bytes: usize) {
        self.shared.gate().left = Some(bytes);
    }

    /// Names under which it is reached.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let port = self.port;
        (1..=ADDRESSES).map(move |i| SocketAddr::from(([127, 0, 1, i], port)))
    }

    /// Where it leads to.
    pub fn lead_to(&self, port: u16) {
        self.shared.target.store(port, Ordering::SeqCst);
    }

    /// Waits until somebody is held.
    pub fn wait_until_held(&self) {
        let gate = self.shared.gate();
        let waiting = |gate: &mut Gate| gate.left != Some(0);
        let (_gate, waited) = self
            .shared
            .changed
            .wait_timeout_while(gate, DEADLINE, waiting)
            .unwrap();
        assert!(!waited.timed_out(), "nobody fetched through the relay");
    }

    /// Lets everything through from now on.
    pub fn release(&self) {
        let mut gate = self.shared.gate();
        gate.left = None;
        gate.is_cut = false;
        self.shared.changed.notify_all();
    }

    /// Cuts all connections, and refuses new ones until it is released.
    pub fn cut(&self) {
        let mut gate = self.shared.gate();
        gate.is_cut = true;
        gate.left = None;
        for connection in gate.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
    }

    /// Bytes that were counted.
    pub fn sent(&self) -> u64 {
        self.shared.gate().sent
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    /// Also after a test has failed while it held it.
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, near: TcpStream) {
        let target = self.target.load(Ordering::SeqCst);
        let Ok(far) = TcpStream::connect((Relay::TARGET, target)) else {
            return;
        };
        let _ = (near.set_nodelay(true), far.set_nodelay(true));
        let clone = |stream: &TcpStream| stream.try_clone().unwrap();
        {
            let mut gate = self.gate();
            if gate.is_cut {
                return;
            }
            gate.connections.extend([clone(&near), clone(&far)]);
        }
        let (up, down) = ((clone(&near), clone(&far)), (far, near));
        let (held, free) = match self.is_upwards.load(Ordering::SeqCst) {
            true => (up, down),
            false => (down, up),
        };
        std::thread::spawn(move || pass(free.0, free.1, Some));
        let shared = self.clone();
        std::thread::spawn(move || pass(held.0, held.1, |wanted| shared.allow(wanted)));
    }

    /// How many of `wanted` bytes may pass now, waiting for at least one; none if it was cut.
    fn allow(&self, wanted: usize) -> Option<usize> {
        let mut gate = self.gate();
        loop {
            if gate.is_cut {
                return None;
            }
            let allowed = gate.left.unwrap_or(wanted).min(wanted);
            if allowed > 0 {
                if let Some(left) = &mut gate.left {
                    *left -= allowed;
                }
                gate.sent += allowed as u64;
                self.changed.notify_all();
                return Some(allowed);
            }
            gate = self.changed.wait(gate).unwrap();
        }
    }
}

/// Copies one direction until either end closes.
fn pass(mut from: TcpStream, mut to: TcpStream, allow: impl Fn(usize) -> Option<usize>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            let Some(allowed) = allow(rest.len()) else {
                return;
            };
            let (now, later) = rest.split_at(allowed);
            if to.write_all(now).is_err() {
                let _ = from.shutdown(Shutdown::Both);
                return;
            }
            rest = later;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
