//! A TCP relay in front of a peer. It counts the bytes that the peer sends or receives, holds them at a
//! given number, releases them, or cuts all connections.
//!
//! A directory also lists a peer at the address on which it listens, which would bypass the relay. So
//! the peer listens on another address of the loopback network ([`Relay::TARGET`]; the directory sees
//! the peer at 127.0.0.1), and announces so many addresses of the relay that its own address exceeds
//! the limit.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::process::DEADLINE;

/// The number of addresses that a directory stores for a peer, besides the one it connected from.
const ADDRESSES: u8 = 15;

struct Shared {
    target: AtomicU16,
    /// Whether bytes to the peer are counted and held, instead of bytes from it.
    is_upwards: AtomicBool,
    gate: Mutex<Gate>,
    changed: Condvar,
    closed: AtomicBool,
}

struct Gate {
    /// The bytes that may still pass; `None` for no limit.
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
    /// The address on which the peer behind a relay listens.
    pub const TARGET: &str = "127.0.0.2";

    /// Creates a relay without a limit.
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

    /// Creates a relay that holds after the peer has sent `bytes` bytes.
    pub fn holding_after(bytes: usize) -> Self {
        let relay = Self::open();
        relay.hold_after(bytes);
        relay
    }

    /// Creates a relay that holds after the peer has received `bytes` bytes.
    pub fn holding_received(bytes: usize) -> Self {
        let relay = Self::open();
        relay.shared.is_upwards.store(true, Ordering::SeqCst);
        relay.hold_after(bytes);
        relay
    }

    /// Holds after another `bytes` bytes.
    pub fn hold_after(&self, bytes: usize) {
        self.shared.gate().left = Some(bytes);
    }

    /// Returns the addresses of the relay.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let port = self.port;
        (1..=ADDRESSES).map(move |i| SocketAddr::from(([127, 0, 1, i], port)))
    }

    /// Sets the port of the peer.
    pub fn lead_to(&self, port: u16) {
        self.shared.target.store(port, Ordering::SeqCst);
    }

    /// Waits until a transfer is held.
    pub fn wait_until_held(&self) {
        let gate = self.shared.gate();
        let waiting = |gate: &mut Gate| gate.left != Some(0);
        let (_gate, waited) = self
            .shared
            .changed
            .wait_timeout_while(gate, DEADLINE, waiting)
            .unwrap();
        assert!(!waited.timed_out(), "no transfer through the relay");
    }

    /// Removes the limit.
    pub fn release(&self) {
        let mut gate = self.shared.gate();
        gate.left = None;
        gate.is_cut = false;
        self.shared.changed.notify_all();
    }

    /// Cuts all connections and refuses new ones until [`Self::release`].
    pub fn cut(&self) {
        let mut gate = self.shared.gate();
        gate.is_cut = true;
        gate.left = None;
        for connection in gate.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
        self.shared.changed.notify_all();
    }

    /// Returns the counted bytes.
    pub fn sent(&self) -> u64 {
        self.shared.gate().sent
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the accepting thread.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    /// Locks the state, also if a failed test poisoned the lock.
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
        let (held, free) = if self.is_upwards.load(Ordering::SeqCst) {
            (up, down)
        } else {
            (down, up)
        };
        std::thread::spawn(move || pass(free.0, free.1, Some));
        let shared = self.clone();
        std::thread::spawn(move || pass(held.0, held.1, |wanted| shared.allow(wanted)));
    }

    /// Waits until bytes may pass. Returns how many, at most `wanted`; `None` after a cut.
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
