//! The addresses of the directory's replicas, best first. The last address that answered is first,
//! the last that failed is last, and the replicas that the directory names are added.

use convite_core::PeerAddress;

/// Maximum number of saved addresses. Those that the directory does not name are dropped first.
pub const ADDRESSES_MAX: usize = 16;

/// The addresses of one channel. A plain value without locks or clocks.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    known: Vec<PeerAddress>,
}

impl Addresses {
    /// Creates a list from `known`, best first.
    pub(crate) fn new(known: Vec<PeerAddress>) -> Self {
        let mut addresses = Self { known: Vec::new() };
        for address in known {
            addresses.add(address);
        }
        addresses.known.truncate(ADDRESSES_MAX);
        addresses
    }

    /// Returns the addresses in the order to try them.
    pub(crate) fn in_order(&self) -> &[PeerAddress] {
        &self.known
    }

    /// Returns whether there is an alternative: several addresses, or a host name that may resolve
    /// to several machines.
    pub(crate) fn has_choice(&self) -> bool {
        self.known.len() > 1 || self.known.iter().any(|address| address.ip().is_none())
    }

    /// Moves an address that answered to the front.
    pub(crate) fn answered(&mut self, address: &PeerAddress) {
        if let Some(place) = self.known.iter().position(|known| known == address) {
            self.known[..=place].rotate_right(1);
        }
    }

    /// Moves an address that failed to the end.
    pub(crate) fn failed(&mut self, address: &PeerAddress) {
        if let Some(place) = self.known.iter().position(|known| known == address) {
            self.known[place..].rotate_left(1);
        }
    }

    /// Adds the replicas that the directory named. Returns whether any is new.
    ///
    /// Other addresses are kept while there is room: one may be a load balancer that the directory
    /// does not know.
    pub(crate) fn told(&mut self, replicas: &[PeerAddress]) -> bool {
        let before = self.known.len();
        for address in replicas.iter().take(ADDRESSES_MAX) {
            self.add(address.clone());
        }
        let news = self.known.len() > before;
        // The first address has just answered, so it stays.
        let mut place = self.known.len();
        while self.known.len() > ADDRESSES_MAX && place > 1 {
            place -= 1;
            if !replicas.contains(&self.known[place]) {
                self.known.remove(place);
            }
        }
        self.known.truncate(ADDRESSES_MAX);
        news
    }

    /// Inserts newly configured addresses, best first, before all others. Returns whether any is
    /// new.
    pub(crate) fn given(&mut self, addresses: &[PeerAddress]) -> bool {
        let news: Vec<PeerAddress> = addresses
            .iter()
            .filter(|address| !self.known.contains(address))
            .take(ADDRESSES_MAX)
            .cloned()
            .collect();
        let is_news = !news.is_empty();
        self.known.splice(0..0, news);
        self.known.truncate(ADDRESSES_MAX);
        is_news
    }

    fn add(&mut self, address: PeerAddress) {
        if !self.known.contains(&address) {
            self.known.push(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<PeerAddress> {
        let address = |name: &&str| PeerAddress::new(name, 1).unwrap();
        names.iter().map(address).collect()
    }

    fn order(addresses: &Addresses) -> Vec<&str> {
        addresses.in_order().iter().map(PeerAddress::host).collect()
    }

    #[test]
    fn the_last_good_one_leads_and_the_last_bad_one_follows() {
        let all = list(&["a", "b", "c"]);
        let mut addresses = Addresses::new(all.clone());
        addresses.answered(&all[1]);
        addresses.answered(&all[1]);
        assert_eq!(order(&addresses), ["b", "a", "c"]);
        addresses.failed(&all[1]);
        assert_eq!(order(&addresses), ["a", "c", "b"]);
        addresses.failed(&list(&["x"])[0]);
        assert_eq!(order(&addresses), ["a", "c", "b"]);
    }

    #[test]
    fn what_the_directory_tells_is_added_and_crowds_out_only_what_it_does_not_name() {
        let mut addresses = Addresses::new(list(&["way.in", "old"]));
        assert!(addresses.told(&list(&["b", "old", "c"])));
        assert!(!addresses.told(&list(&["c", "b"])));
        assert_eq!(order(&addresses), ["way.in", "old", "b", "c"]);

        let names: Vec<String> = (0..ADDRESSES_MAX - 1).map(|i| format!("r{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(addresses.told(&list(&names)));
        assert_eq!(addresses.in_order().len(), ADDRESSES_MAX);
        assert_eq!(order(&addresses)[0], "way.in");
        assert_eq!(order(&addresses)[1..], names);
    }

    #[test]
    fn addresses_that_were_given_come_first() {
        let mut addresses = Addresses::new(list(&["old", "older"]));
        assert!(addresses.given(&list(&["new", "old", "newer"])));
        assert_eq!(order(&addresses), ["new", "newer", "old", "older"]);
        assert!(!addresses.given(&list(&["older", "new"])));
    }

    #[test]
    fn one_address_leaves_no_choice_unless_it_is_a_name() {
        let choice = |text: &str| Addresses::new(vec![text.parse().unwrap()]).has_choice();
        assert!(!choice("192.0.2.1:1"));
        assert!(choice("directory.example:1"));
    }
}
