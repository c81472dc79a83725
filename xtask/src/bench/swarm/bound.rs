//! The least time that the links of a swarm allow for any schedule.
//!
//! R. Kumar and K. Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time" (2006):
//! max(F/u_seed, F/d_min, N·F/(u_seed + Σu_i)). The first provider must send every byte once; the
//! slowest downloader must receive every byte; and all uploads together must carry N copies.

use crate::Failure;

/// A file, one provider that has it, and downloaders.
pub struct Swarm {
    /// The size of the file in bytes, F.
    pub size: u64,
    /// The rate of the provider's link in bits per second, u_seed.
    pub provider: u64,
    /// The rates of the downloaders' links in bits per second, the same in both directions: u_i and
    /// d_i.
    pub downloaders: Vec<u64>,
}

impl Swarm {
    /// Creates a swarm of `count` downloaders that have `rates` in turn, and a provider with the
    /// rate `provider`, or else the first of the rates.
    ///
    /// # Errors
    /// Fails if there are no rates or no downloaders.
    pub fn new(
        size: u64,
        provider: Option<u64>,
        rates: &[u64],
        count: usize,
    ) -> Result<Self, Failure> {
        let downloaders: Vec<u64> = rates.iter().copied().cycle().take(count).collect();
        let first = downloaders.first().ok_or("a swarm needs downloaders")?;
        Ok(Self {
            size,
            provider: provider.unwrap_or(*first),
            downloaders,
        })
    }

    /// Returns the least time in seconds until the last downloader finishes.
    pub fn bound(&self) -> f64 {
        let bits = self.size as f64 * 8.0;
        let seed = self.provider as f64;
        let slowest = self.downloaders.iter().min().copied().unwrap_or(1) as f64;
        let uploads: u64 = self.downloaders.iter().sum();
        let count = self.downloaders.len() as f64;
        (bits / seed)
            .max(bits / slowest)
            .max(count * bits / (seed + uploads as f64))
    }

    /// Describes the members and their links in words.
    pub fn describe(&self) -> String {
        let mbit = |rate: u64| format!("{} Mbit/s", rate as f64 / 1e6);
        let mut rates = self.downloaders.clone();
        rates.sort_unstable();
        rates.dedup();
        let rates: Vec<String> = rates.into_iter().map(mbit).collect();
        format!(
            "provider {}, {} downloaders {}",
            mbit(self.provider),
            self.downloaders.len(),
            rates.join(" and ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MBIT: u64 = 1_000_000;

    fn bound(provider: u64, rates: &[u64], count: usize) -> f64 {
        let provider = Some(provider * MBIT);
        let rates: Vec<u64> = rates.iter().map(|rate| rate * MBIT).collect();
        // 10 Mbit, for round numbers of seconds.
        let swarm = Swarm::new(1_250_000, provider, &rates, count).unwrap();
        swarm.bound()
    }

    #[test]
    fn equal_links_are_bound_by_one_of_them() {
        // 8·10/(80+640) is less than 10/80.
        assert_eq!(bound(80, &[80], 8), 0.125);
    }

    #[test]
    fn a_slow_provider_bounds_by_sending_each_byte_once() {
        assert_eq!(bound(5, &[100], 4), 2.0);
    }

    #[test]
    fn a_slow_downloader_bounds_by_receiving_each_byte_once() {
        assert_eq!(bound(40, &[20, 100], 8), 0.5);
    }

    #[test]
    fn one_downloader_has_the_lesser_of_both_links() {
        assert_eq!(bound(40, &[20], 1), 0.5);
        assert_eq!(bound(20, &[40], 1), 0.5);
    }

    #[test]
    fn the_sum_of_uploads_cannot_exceed_the_downloads_when_links_are_symmetric() {
        // N·F/(u_seed+Σu) is F/mean(u) of N+1 links, between the slowest and the fastest. So with
        // symmetric links it is never the only maximum.
        let swarm = Swarm::new(1_250_000, None, &[10 * MBIT, 30 * MBIT], 4).unwrap();
        assert_eq!(swarm.provider, 10 * MBIT);
        assert_eq!(swarm.bound(), 1.0);
    }

    #[test]
    fn rates_are_taken_in_turn_and_described_once() {
        let swarm = Swarm::new(1, Some(40 * MBIT), &[20 * MBIT, 100 * MBIT], 3).unwrap();
        assert_eq!(swarm.downloaders, [20 * MBIT, 100 * MBIT, 20 * MBIT]);
        assert_eq!(
            swarm.describe(),
            "provider 40 Mbit/s, 3 downloaders 20 Mbit/s and 100 Mbit/s"
        );
        assert!(Swarm::new(1, None, &[MBIT], 0).is_err());
    }
}
