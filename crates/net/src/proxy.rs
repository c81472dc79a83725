//! The real client address of connections and requests behind trusted proxies.
//!
//! A load balancer sends the address in the PROXY protocol at the start of a connection (HAProxy's
//! specification of 2020, versions 1 and 2). An HTTP proxy sends it in `X-Forwarded-For` with each
//! request. Both are accepted only from a trusted address. From any other address, the header is
//! ignored, and the PROXY protocol is an error.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::connection::ConnectionInfo;
pub use crate::subnet::Subnet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The start of a version 2 header.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The start of a version 1 header, and its maximum length.
const V1_PREFIX: &[u8] = b"PROXY ";
const V1_MAX: usize = 107;
/// The maximum length of the part after the first 16 bytes of a version 2 header: addresses and TLS
/// information.
const V2_REST_MAX: usize = 4096;
/// The maximum number of hops of a request that are evaluated.
const HOPS_MAX: usize = 32;

/// The networks of the trusted proxies.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Arc<[Subnet]>);

impl Proxies {
    /// Trusts these networks only.
    pub fn new(trusted: impl IntoIterator<Item = Subnet>) -> Self {
        Self(trusted.into_iter().collect())
    }

    /// Returns whether an address is trusted.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|subnet| subnet.contains(address))
    }

    /// Returns the connection with the client address of a request: the last hop of
    /// `X-Forwarded-For` that is not trusted. Earlier hops are ignored, because an untrusted hop
    /// can forge them.
    pub(crate) fn resolve_client(
        &self,
        connection: ConnectionInfo,
        headers: &HeaderMap,
    ) -> ConnectionInfo {
        let mut remote = connection.remote;
        if !self.trusts(remote.ip()) {
            return connection;
        }
        let values = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let hops = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
        for hop in hops.take(HOPS_MAX) {
            // A hop that is not an address is unknown, so the request counts for the proxy.
            let Some(address) = hop_address(hop.trim()) else {
                break;
            };
            remote = SocketAddr::new(address, 0);
            if !self.trusts(address) {
                break;
            }
        }
        ConnectionInfo {
            remote,
            ..connection
        }
    }
}

/// Parses the address of a hop, which may have a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']'));
    let address = bare.unwrap_or(hop).parse().ok();
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    address
        .or_else(with_port)
        .map(|ip: IpAddr| ip.to_canonical())
}

/// The classification of the first bytes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum HeaderParse {
    /// More bytes are needed.
    Incomplete,
    /// Not a PROXY header.
    None,
    /// A PROXY header of this length, and the client address; `None` for the proxy itself.
    Header(usize, Option<SocketAddr>),
    /// An invalid PROXY header.
    Invalid,
}

/// Classifies the first bytes of a connection.
pub fn parse_header(bytes: &[u8]) -> HeaderParse {
    let agrees = |with: &[u8]| {
        let both = bytes.len().min(with.len());
        bytes[..both] == with[..both]
    };
    if agrees(V2_SIGNATURE) {
        return version_2(bytes);
    }
    if agrees(V1_PREFIX) {
        return version_1(bytes);
    }
    HeaderParse::None
}

fn version_1(bytes: &[u8]) -> HeaderParse {
    let known = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = known.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < V1_MAX {
            HeaderParse::Incomplete
        } else {
            HeaderParse::Invalid
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
                None => return HeaderParse::Invalid,
            }
        }
        _ => return HeaderParse::Invalid,
    };
    HeaderParse::Header(end + 2, source)
}

fn version_2(bytes: &[u8]) -> HeaderParse {
    let Some((head, rest)) = bytes.split_at_checked(16) else {
        return HeaderParse::Incomplete;
    };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > V2_REST_MAX {
        return HeaderParse::Invalid;
    }
    let Some(mut rest) = rest.get(..length) else {
        return HeaderParse::Incomplete;
    };
    let source = match (head[12], head[13]) {
        // A connection of the proxy itself, such as a health check.
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
        // An address family that is not supported.
        (0x21, 0x00) => None,
        _ => return HeaderParse::Invalid,
    };
    HeaderParse::Header(16 + length, source)
}

/// Reads the PROXY header of a trusted proxy, if there is one. Returns the client address (`None`
/// for the proxy itself) and the stream without the header.
///
/// # Errors
/// Fails if the stream cannot be read, or with `InvalidData` if the header is not valid.
pub(crate) async fn read_header(
    mut stream: TcpStream,
) -> io::Result<(Option<SocketAddr>, PrefixedStream)> {
    let mut bytes = BytesMut::with_capacity(512);
    loop {
        let (length, source) = match parse_header(&bytes) {
            HeaderParse::Incomplete => {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            HeaderParse::None => (0, None),
            HeaderParse::Header(length, source) => (length, source),
            HeaderParse::Invalid => {
                let error = "invalid PROXY protocol header";
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        };
        bytes.advance(length);
        let before = bytes.freeze();
        let stream = PrefixedStream {
            before,
            stream,
            untrusted: None,
        };
        return Ok((source, stream));
    }
}

/// A stream whose first bytes were already read.
pub(crate) struct PrefixedStream {
    before: Bytes,
    stream: TcpStream,
    /// Checks the first bytes of an untrusted client.
    untrusted: Option<UntrustedClient>,
}

/// An untrusted client that has not sent anything yet.
struct UntrustedClient {
    address: IpAddr,
    clients: UntrustedClients,
}

/// Untrusted addresses that sent a PROXY header. Each is logged once.
#[derive(Clone, Default)]
pub(crate) struct UntrustedClients(Arc<Mutex<HashSet<IpAddr>>>);

impl UntrustedClients {
    /// The maximum number of addresses that are logged.
    const MAX: usize = 64;

    /// Returns a stream from an untrusted client. If it begins with a PROXY header, logs that and
    /// fails to read: otherwise the rest would count as a connection of the proxy itself.
    pub(crate) fn watch(&self, stream: TcpStream, address: IpAddr) -> PrefixedStream {
        PrefixedStream {
            before: Bytes::new(),
            stream,
            untrusted: Some(UntrustedClient {
                address,
                clients: self.clone(),
            }),
        }
    }

    fn report(&self, address: IpAddr) {
        let mut known = self.0.lock();
        if known.len() < Self::MAX && known.insert(address) {
            tracing::warn!(
                "{address} sent a PROXY protocol header but is not trusted: if it is your load \
                 balancer, start the directory with `--trusted-proxy {address}`"
            );
        }
    }
}

/// Returns whether bytes begin with a PROXY header. Neither TLS nor HTTP begins like that.
fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(V2_SIGNATURE) || bytes.starts_with(V1_PREFIX)
}

impl AsyncRead for PrefixedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.before.is_empty() {
            let filled = out.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, out))?;
            if let Some(UntrustedClient { address, clients }) = self.untrusted.take()
                && is_header(&out.filled()[filled..])
            {
                clients.report(address);
                let error = "PROXY protocol header from an untrusted address";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
            return Poll::Ready(Ok(()));
        }
        let length = self.before.len().min(out.remaining());
        out.put_slice(&self.before.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PrefixedStream {
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
            assert!(proxies.trusts(inside.parse().unwrap()), "{network}");
            assert!(!proxies.trusts(outside.parse().unwrap()), "{network}");
        }
        assert!(!Proxies::default().trusts("127.0.0.1".parse().unwrap()));
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
        let connection = ConnectionInfo {
            remote: SocketAddr::new(from.parse().unwrap(), 9),
            local: "192.0.2.1:443".parse().unwrap(),
            tls: true,
        };
        let fields = forwarded
            .iter()
            .map(|text| (FORWARDED_FOR, text.parse().unwrap()));
        let headers: HeaderMap = fields.collect();
        proxies
            .resolve_client(connection, &headers)
            .remote
            .ip()
            .to_string()
    }

    #[test]
    fn the_last_hop_that_is_not_trusted_is_who_asks() {
        for (from, forwarded, who) in [
            ("10.0.0.1", &["192.0.2.7"][..], "192.0.2.7"),
            ("::1", &["192.0.2.7:4711"], "192.0.2.7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            // The client can forge everything before the last untrusted hop.
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
            // Other senders are not trusted.
            ("192.0.2.9", &["198.51.100.1"], "192.0.2.9"),
            ("127.0.0.1", &["198.51.100.1"], "127.0.0.1"),
        ] {
            assert_eq!(seen(from, forwarded), who, "{from} {forwarded:?}");
        }
    }

    /// Builds a version 2 header.
    fn two(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = V2_SIGNATURE.to_vec();
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
            assert_eq!(parse_header(&bytes), HeaderParse::Header(header.len(), who));
            for length in 0..header.len() {
                assert_eq!(
                    parse_header(&bytes[..length]),
                    HeaderParse::Incomplete,
                    "{length}"
                );
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
            assert_eq!(parse_header(other), HeaderParse::None);
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
            &two(0x21, 0x11, &[0; V2_REST_MAX + 1]),
        ] {
            assert_eq!(parse_header(wrong), HeaderParse::Invalid, "{wrong:?}");
        }
    }
}
