//! The addresses of the directory's replicas, best first: the one that answered last leads, the one
//! that failed last comes behind the others. What the directory tells of its replicas is added.

use convite_core::PeerAddress;

/// The most addresses that are kept: the longest unheard of go.
pub const ADDRESSES_MAX: usize = 16;

/// Where the directory may be. A value without locks or clocks: a channel owns one.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    known: Vec<PeerAddress>,
}

impl Addresses {
    /// `known` as it stands, best first.
    pub(crate) fn new(known: Vec<PeerAddress>) -> Self {
        let mut addresses = Self { known: Vec::new() };
        for address in known {
            addresses.add(address);
        }
        addresses.known.truncate(ADDRESSES_MAX);
        addresses
    }

    /// In the order in which they are to be tried.
    pub(crate) fn in_order(&self) -> &[PeerAddress] {
        &self.known
    }

    /// Whether one could stand in for another: there are several, or a name that may have several
    /// machines behind it.
    pub(crate) fn has_choice(&self) -> bool {
        self.known.len() > 1 || self.known.iter().any(|address| address.ip().is_none())
    }

    /// This one answered: it leads.
    pub(crate) fn answered(&mut self, address: &PeerAddress) {
        if let Some(place) = self.known.iter().position(|known| known == address) {
            self.known[..=place].rotate_right(1);
        }
    }

    /// This one failed: the others come before it.
    pub(crate) fn failed(&mut self, address: &PeerAddress) {
        if let Some(place) = self.known.iter().position(|known| known == address) {
            self.known[place..].rotate_left(1);
        }
    }

    /// The directory says where its replicas are; returns whether any is new. Those that it does
    /// not name are kept while there is room: the way in may be an address of which it knows
    /// nothing, as a load balancer's.
    pub(crate) fn told(&mut self, replicas: &[PeerAddress]) -> bool {
        let before = self.known.len();
        for address in replicas.iter().take(ADDRESSES_MAX) {
            self.add(address.clone());
        }
        let news = self.known.len() > before;
        // The one that leads has just answered.
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
    fn one_address_leaves_no_choice_unless_it_is_a_name() {
        let choice = |text: &str| Addresses::new(vec![text.parse().unwrap()]).has_choice();
        assert!(!choice("192.0.2.1:1"));
        assert!(choice("directory.example:1"));
    }
}
