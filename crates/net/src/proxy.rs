//! Who really asks, where somebody trusted hands connections or requests on: a balancer says so in
//! the PROXY protocol before a connection's first byte (HAProxy's specification of 2020, versions 1
//! and 2), a proxy of HTTP in each request's `X-Forwarded-For`.
//!
//! Either is believed only from an address that is trusted; to anybody else it is what any bytes are.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use convite_core::Problem;
use http::{HeaderMap, HeaderName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::Connection;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with, and its longest line.
const LINE: &[u8] = b"PROXY ";
const LINE_MAX: usize = 107;
/// The most that may follow version 2's 16 bytes: addresses, and what is said of TLS.
const REST_MAX: usize = 4096;
/// The most hops of a request that are looked at.
const HOPS_MAX: usize = 32;

/// Addresses that begin alike: `10.0.0.0/8`, `2001:db8::/32`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    bits: u32,
}

impl Subnet {
    /// Whether an address is one of them; an IPv4 address in an IPv6 one counts as what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Subnet {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let parsed = address.parse().ok().and_then(|address: IpAddr| {
            let address = address.to_canonical();
            let all = if address.is_ipv4() { 32 } else { 128 };
            let bits = match bits {
                // `+8` would be a number too.
                Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    bits.parse().ok()?
                }
                Some(_) => return None,
                None => all,
            };
            (bits <= all).then_some(Self { address, bits })
        });
        parsed.ok_or_else(|| {
            let shown = convite_core::display::escape(text);
            Problem::invalid(format!("'{shown}' is no address and no network"))
                .hint("write it like 10.0.0.7 or 10.0.0.0/24")
        })
    }
}

/// Who is trusted to say for whom it asks.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[Subnet]>);

impl Proxies {
    /// These, and nobody else.
    pub fn new(trusted: impl IntoIterator<Item = Subnet>) -> Self {
        Self(trusted.into_iter().collect())
    }

    /// Whether an address is trusted.
    pub fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|subnet| subnet.contains(address))
    }

    /// The connection as a request over it is to be seen: from the last hop of `X-Forwarded-For` that is
    /// not trusted itself. What such a hop says of hops before it may be anything.
    pub(crate) fn seen(&self, connection: Connection, headers: &HeaderMap) -> Connection {
        let mut remote = connection.remote;
        if !self.trust(remote.ip()) {
            return connection;
        }
        let values = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let hops = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
        for hop in hops.take(HOPS_MAX) {
            // What is no address says nothing of who it was: it is the proxy that asks.
            let Some(address) = hop_address(hop.trim()) else {
                break;
            };
            remote = SocketAddr::new(address, 0);
            if !self.trust(address) {
                break;
            }
        }
        Connection {
            remote,
            ..connection
        }
    }
}

/// The address of a hop, which some write with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let address = bare.unwrap_or(hop).parse().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    address
        .or_else(with_port)
        .map(|ip: IpAddr| ip.to_canonical())
}

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    /// More have to come before it is clear.
    Unclear,
    /// No header: what was meant for whoever listens.
    None,
    /// A header of so many bytes, and for whom it speaks: none for the proxy itself.
    Header(usize, Option<SocketAddr>),
    /// A header that is not valid.
    Broken,
}

fn beginning(bytes: &[u8]) -> Beginning {
    let agrees = |with: &[u8]| {
        let both = bytes.len().min(with.len());
        bytes[..both] == with[..both]
    };
    if agrees(SIGNATURE) {
        return version_2(bytes);
    }
    if agrees(LINE) {
        return version_1(bytes);
    }
    Beginning::None
}

fn version_1(bytes: &[u8]) -> Beginning {
    let known = &bytes[..bytes.len().min(LINE_MAX)];
    let Some(end) = known.windows(2).position(|pair| pair == b"\r\n") else {
        return match bytes.len() < LINE_MAX {
            true => Beginning::Unclear,
            false => Beginning::Broken,
        };
    };
    let line = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
    let words: Vec<&str> = line.split(' ').collect();
    let source = match words[..] {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family @ ("TCP4" | "TCP6"), source, _, port, _] => {
            let source: Option<IpAddr> = source.parse().ok();
            let source = source.filter(|source| source.is_ipv4() == (family == "TCP4"));
            match source.zip(port.parse().ok()) {
                Some((source, port)) => Some(SocketAddr::new(source, port)),
                None => return Beginning::Broken,
            }
        }
        _ => return Beginning::Broken,
    };
    Beginning::Header(end + 2, source)
}

fn version_2(bytes: &[u8]) -> Beginning {
    let Some((head, rest)) = bytes.split_at_checked(16) else {
        return Beginning::Unclear;
    };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > REST_MAX {
        return Beginning::Broken;
    }
    let Some(mut rest) = rest.get(..length) else {
        return Beginning::Unclear;
    };
    let source = match (head[12], head[13]) {
        // The proxy itself, as for a health check.
        (0x20, _) => None,
        (0x21, 0x11) if length >= 12 => {
            let source = Ipv4Addr::from_bits(rest.get_u32());
            rest.advance(4);
            Some(SocketAddr::from((source, rest.get_u16())))
        }
        (0x21, 0x21) if length >= 36 => {
            let source = Ipv6Addr::from_bits(rest.get_u128());
            rest.advance(16);
            Some(SocketAddr::from((source, rest.get_u16())))
        }
        // Of no family that has addresses here.
        (0x21, 0x00) => None,
        _ => return Beginning::Broken,
    };
    Beginning::Header(16 + length, source)
}

/// Reads what a trusted proxy says before the first byte, if it says anything. Returns for whom it
/// speaks (none: for itself), and the stream as if nothing had been read that is not the header.
///
/// # Errors
/// Those of reading; `InvalidData` for a header that is not valid.
pub(crate) async fn introduced(mut stream: TcpStream) -> io::Result<(Option<SocketAddr>, Rewound)> {
    let mut bytes = BytesMut::with_capacity(512);
    loop {
        let (length, source) = match beginning(&bytes) {
            Beginning::Unclear => {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            Beginning::None => (0, None),
            Beginning::Header(length, source) => (length, source),
            Beginning::Broken => {
                let error = "the header of the PROXY protocol is not valid";
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        };
        bytes.advance(length);
        let before = bytes.freeze();
        return Ok((source, Rewound { before, stream }));
    }
}

/// A stream of which some bytes were read already.
pub(crate) struct Rewound {
    before: Bytes,
    stream: TcpStream,
}

impl From<TcpStream> for Rewound {
    fn from(stream: TcpStream) -> Self {
        let before = Bytes::new();
        Self { before, stream }
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, out);
        }
        let length = self.before.len().min(out.remaining());
        out.put_slice(&self.before.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnets(texts: &[&str]) -> Proxies {
        Proxies::new(texts.iter().map(|text| text.parse().unwrap()))
    }

    #[test]
    fn networks_are_what_they_say() {
        for (network, inside, outside) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("10.1.2.0/24", "10.1.2.255", "10.1.3.0"),
            ("10.1.2.3/31", "::ffff:10.1.2.2", "10.1.2.4"),
            ("0.0.0.0/0", "192.0.2.7", "::1"),
            ("::1", "::1", "127.0.0.1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db8::", "10.0.0.1"),
        ] {
            let proxies = subnets(&[network]);
            assert!(proxies.trust(inside.parse().unwrap()), "{network}");
            assert!(!proxies.trust(outside.parse().unwrap()), "{network}");
        }
        assert!(!Proxies::default().trust("127.0.0.1".parse().unwrap()));
        for bad in [
            "",
            "x",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "localhost",
        ] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }

    fn seen(from: &str, forwarded: &[&str]) -> String {
        let proxies = subnets(&["10.0.0.0/8", "::1"]);
        let connection = Connection {
            remote: SocketAddr::new(from.parse().unwrap(), 9),
            local: "192.0.2.1:443".parse().unwrap(),
            tls: true,
        };
        let fields = forwarded
            .iter()
            .map(|text| (FORWARDED_FOR, text.parse().unwrap()));
        let headers: HeaderMap = fields.collect();
        proxies.seen(connection, &headers).remote.ip().to_string()
    }

    #[test]
    fn the_last_hop_that_is_not_trusted_is_who_asks() {
        for (from, forwarded, who) in [
            ("10.0.0.1", &["192.0.2.7"][..], "192.0.2.7"),
            ("::1", &["192.0.2.7:4711"], "192.0.2.7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            // Whatever stands before it was written by who asks.
            ("10.0.0.1", &["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
            (
                "10.0.0.1",
                &["198.51.100.1,192.0.2.7 , 10.0.0.2"],
                "192.0.2.7",
            ),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, \u{fc}"], "10.0.0.1"),
            // Nobody else is believed.
            ("192.0.2.9", &["198.51.100.1"], "192.0.2.9"),
            ("127.0.0.1", &["198.51.100.1"], "127.0.0.1"),
        ] {
            assert_eq!(seen(from, forwarded), who, "{from} {forwarded:?}");
        }
    }

    /// A header of version 2.
    fn two(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend((rest.len() as u16).to_be_bytes());
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn headers_say_for_whom_they_speak_however_they_come_in() {
        let four = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x34, 0, 80];
        let mut more = four.to_vec();
        more.extend([0x04, 0, 1, 0]);
        let mut six = [0u8; 36];
        six[..2].copy_from_slice(&[0x20, 0x01]);
        six[15] = 7;
        six[33] = 9;
        for (header, who) in [
            (
                &b"PROXY TCP4 192.0.2.7 10.0.0.1 4660 80\r\n"[..],
                Some("192.0.2.7:4660"),
            ),
            (b"PROXY TCP6 2001::7 ::1 9 80\r\n", Some("[2001::7]:9")),
            (b"PROXY UNKNOWN\r\n", None),
            (b"PROXY UNKNOWN what ever\r\n", None),
            (&two(0x21, 0x11, &four), Some("192.0.2.7:4660")),
            (&two(0x21, 0x11, &more), Some("192.0.2.7:4660")),
            (&two(0x21, 0x21, &six), Some("[2001::7]:9")),
            (&two(0x20, 0x00, &[]), None),
            (&two(0x20, 0x11, &four), None),
            (&two(0x21, 0x00, &[]), None),
        ] {
            let who = who.map(|who| who.parse().unwrap());
            let mut bytes = header.to_vec();
            bytes.extend(b"\x16\x03\x01");
            assert_eq!(beginning(&bytes), Beginning::Header(header.len(), who));
            for length in 0..header.len() {
                assert_eq!(beginning(&bytes[..length]), Beginning::Unclear, "{length}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_for_who_listens_and_what_is_a_wrong_one_for_nobody() {
        for other in [
            &b"\x16\x03\x01"[..],
            b"GET / HTTP/1.1\r\n",
            b"PRI * HTTP/2.0",
            b"PUT",
            b"\r\n\r\nX",
        ] {
            assert_eq!(beginning(other), Beginning::None);
        }
        let long = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat();
        for wrong in [
            &b"PROXY \r\n"[..],
            b"PROXY TCP4 x 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 99999 2\r\n",
            b"PROXY TCP4 192.0.2.7\r\n",
            b"PROXY tcp4 192.0.2.7 10.0.0.1 1 2\r\n",
            &long,
            &two(0x22, 0x11, &[0; 12]),
            &two(0x11, 0x11, &[0; 12]),
            &two(0x21, 0x11, &[0; 11]),
            &two(0x21, 0x21, &[0; 35]),
            &two(0x21, 0x31, &[0; 216]),
            &two(0x21, 0x11, &[0; REST_MAX + 1]),
        ] {
            assert_eq!(beginning(wrong), Beginning::Broken, "{wrong:?}");
        }
    }
}
