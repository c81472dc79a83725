//! The status of a running peer, with rates from two samples.

use std::time::Duration;

use convite_core::Problem;
use convite_wire::v1::{StatusReply, Transfer};

use crate::control::PeerControl;

/// The time between the two samples from which rates are computed.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);

/// The status of a peer, and rates from two samples.
pub struct PeerSample {
    pub now: StatusReply,
    /// Total bytes sent per second; `None` if there are no uploads.
    pub rate: Option<u64>,
    /// Bytes per second of each upload in `now`.
    pub rates: Vec<u64>,
}

impl PeerSample {
    /// Takes two samples; one is enough if there are no uploads.
    ///
    /// # Errors
    /// Returns the error of the peer.
    pub async fn of(control: &mut PeerControl) -> Result<Self, Problem> {
        let first = control.status().await?;
        if first.uploads.is_empty() {
            return Ok(Self {
                now: first,
                rate: None,
                rates: Vec::new(),
            });
        }
        let began = tokio::time::Instant::now();
        tokio::time::sleep(SAMPLE_INTERVAL).await;
        let now = control.status().await?;
        Ok(Self::between(&first, now, began.elapsed()))
    }

    fn between(before: &StatusReply, now: StatusReply, took: Duration) -> Self {
        let rate = |bytes: u64| (bytes as f64 / took.as_secs_f64().max(0.001)) as u64;
        let sent = now.bytes_served.saturating_sub(before.bytes_served);
        // Uploads have no ids: one is matched to an earlier upload of the same file to the same
        // account that has no more bytes than now.
        let mut left: Vec<&Transfer> = before.uploads.iter().collect();
        let rates = now.uploads.iter().map(|upload| {
            let same = |old: &&Transfer| {
                (&old.hash, &old.user) == (&upload.hash, &upload.user) && old.bytes <= upload.bytes
            };
            let old = left.iter().position(same).map(|at| left.remove(at).bytes);
            rate(upload.bytes - old.unwrap_or(0))
        });
        Self {
            rates: rates.collect(),
            rate: Some(rate(sent)),
            now,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn upload(hash: u8, user: &str, bytes: u64) -> Transfer {
        Transfer {
            name: "n".to_owned(),
            hash: vec![hash; 32].into(),
            user: user.to_owned(),
            bytes,
            size: 1000,
        }
    }

    #[test]
    fn upload_rates_are_computed_from_two_samples() {
        let reply = |uploads: Vec<Transfer>, bytes_served| StatusReply {
            uploads,
            bytes_served,
            ..StatusReply::default()
        };
        let before = reply(
            vec![
                upload(1, "ana", 100),
                upload(1, "ana", 500),
                upload(2, "ben", 0),
            ],
            600,
        );
        // One upload has ended, another has started.
        let now = reply(
            vec![
                upload(1, "ana", 600),
                upload(2, "ben", 50),
                upload(2, "eve", 10),
            ],
            760,
        );
        let seen = PeerSample::between(&before, now, Duration::from_millis(500));
        assert_eq!(seen.rate, Some(320));
        assert_eq!(seen.rates, [1000, 100, 20]);
    }
}
