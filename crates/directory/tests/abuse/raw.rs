//! Connections with hand-written bytes, with a minimal HTTP/2 (RFC 9113).

use std::time::Duration;

use convite_directory::RunningDirectory;
use convite_net::dial::{Expected, Stream, connect};
use convite_net::tls::{DIRECTORY_NAME, client_config, client_config_http1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Longer than any limit that a test sets, and shorter than the default limits.
pub const PATIENCE: Duration = Duration::from_secs(15);

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GO_AWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

trait Both: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

pub struct Raw(Box<dyn Both>);

/// A received frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Returns a header block without compression (RFC 7541, section 6.2.2: literals that are never
/// indexed).
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let text = |bytes: &mut Vec<u8>, text: &str| {
        // An integer with a 7-bit prefix (section 5.1).
        match text.len() {
            len @ 0..=126 => bytes.push(len as u8),
            len => {
                bytes.push(127);
                let mut rest = len - 127;
                while rest >= 128 {
                    bytes.push((rest % 128) as u8 | 128);
                    rest /= 128;
                }
                bytes.push(rest as u8);
            }
        }
        bytes.extend(text.as_bytes());
    };
    for (name, value) in headers {
        bytes.push(0);
        text(&mut bytes, name);
        text(&mut bytes, value);
    }
    bytes
}

pub fn get(path: &str) -> Vec<u8> {
    block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
    ])
}

impl Raw {
    async fn dial(directory: &RunningDirectory, http1: bool) -> Self {
        let authority = directory.authority.unwrap();
        let config = if http1 {
            client_config_http1(authority)
        } else {
            client_config(authority)
        };
        let expected = Expected::new(config, DIRECTORY_NAME).unwrap();
        let stream = connect(&directory.address.into(), Some(&expected)).await;
        match stream.unwrap() {
            Stream::Encrypted(stream) => Self(stream),
            Stream::Plaintext(_) => panic!("not encrypted"),
        }
    }

    pub fn of(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::new(stream))
    }

    pub async fn http1(directory: &RunningDirectory) -> Self {
        Self::dial(directory, true).await
    }

    /// Opens an HTTP/2 connection without sending anything.
    pub async fn http2_silent(directory: &RunningDirectory) -> Self {
        Self::dial(directory, false).await
    }

    /// Opens an HTTP/2 connection with these settings (id, value).
    pub async fn http2(directory: &RunningDirectory, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self::http2_silent(directory).await;
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend(id.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        raw.send(&frame(SETTINGS, 0, 0, &payload)).await.unwrap();
        raw
    }

    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Sends `bytes` repeatedly, with pauses, until the other side closes the connection.
    pub async fn drip_until_cut(&mut self, bytes: &[u8]) {
        let dripping = async {
            let mut buffer = [0; 4096];
            loop {
                if self.send(bytes).await.is_err() {
                    return;
                }
                let read = self.0.read(&mut buffer);
                let read = timeout(Duration::from_millis(50), read).await;
                if matches!(read, Ok(Ok(0) | Err(_))) {
                    return;
                }
            }
        };
        timeout(PATIENCE, dripping)
            .await
            .expect("the connection is closed in time");
    }

    /// Reads until the other side closes the connection.
    pub async fn until_cut(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let reading = async {
            let mut buffer = [0; 4096];
            // A reset closes the connection too.
            while let Ok(len @ 1..) = self.0.read(&mut buffer).await {
                all.extend(&buffer[..len]);
            }
        };
        timeout(PATIENCE, reading)
            .await
            .expect("the connection is closed in time");
        all
    }

    /// Reads the head and the body of one HTTP/1.1 response.
    pub async fn answer(&mut self) -> (u16, String) {
        let reading = async {
            let mut all = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let text = String::from_utf8_lossy(&all).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let head = head.to_ascii_lowercase();
                    let length = head.lines().find_map(|line| {
                        let value = line.strip_prefix("content-length:")?;
                        value.trim().parse::<usize>().ok()
                    });
                    if body.len() >= length.unwrap_or_default() {
                        return text;
                    }
                }
                match self.0.read(&mut buffer).await {
                    Ok(0) | Err(_) => return text,
                    Ok(len) => all.extend(&buffer[..len]),
                }
            }
        };
        let text = timeout(PATIENCE, reading)
            .await
            .expect("a response arrives in time");
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or_default(), text)
    }

    /// Returns the next HTTP/2 frame; `None` at the end. Answers pings and settings.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            let (kind, flags) = (head[3], head[4]);
            if (kind == SETTINGS || kind == PING) && flags & 1 == 0 {
                let echo = if kind == PING { &payload[..] } else { &[] };
                self.send(&frame(kind, 1, 0, echo)).await.ok()?;
                continue;
            }
            if kind == SETTINGS || kind == PING {
                continue;
            }
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            return Some(Frame {
                kind,
                stream,
                payload,
            });
        }
    }

    /// Returns the first frame that meets the condition; `None` if the connection ends before.
    pub async fn frame_until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let reading = async {
            loop {
                let frame = self.frame().await?;
                if wanted(&frame) {
                    return Some(frame);
                }
            }
        };
        timeout(PATIENCE, reading)
            .await
            .expect("a frame arrives in time")
    }

    /// Reads frames, answering pings, until the other side closes the connection.
    pub async fn frames_until_cut(&mut self) {
        let none = self.frame_until(|_| false).await;
        assert!(none.is_none());
    }
}
