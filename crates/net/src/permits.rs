//! Counts concurrent uses per key: connections of a network, requests of a session, transfers of an
//! account.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

type Held<K, V> = Arc<Mutex<HashMap<K, (usize, V)>>>;

/// The permits that are held, by key. The holders of one key share a value `V`, which exists as long
/// as a permit of the key is held. Clones share their state.
pub struct KeyedPermits<K, V = ()> {
    held: Held<K, V>,
}

/// A permit, released when dropped.
pub struct KeyedPermit<K: Eq + Hash, V = ()> {
    held: Held<K, V>,
    key: K,
    value: V,
}

impl<K, V> Default for KeyedPermits<K, V> {
    fn default() -> Self {
        Self {
            held: Arc::default(),
        }
    }
}

impl<K, V> Clone for KeyedPermits<K, V> {
    fn clone(&self) -> Self {
        Self {
            held: Arc::clone(&self.held),
        }
    }
}

impl<K: Eq + Hash + Clone> KeyedPermits<K> {
    /// Takes a permit, or returns `None` if `key` holds `max` already.
    pub fn acquire(&self, key: K, max: usize) -> Option<KeyedPermit<K>> {
        self.acquire_with(key, max, || ())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> KeyedPermits<K, V> {
    /// Takes a permit, or returns `None` if `key` holds `max` already. The first permit of a key
    /// creates its value.
    pub fn acquire_with(
        &self,
        key: K,
        max: usize,
        create: impl FnOnce() -> V,
    ) -> Option<KeyedPermit<K, V>> {
        let mut held = self.held.lock();
        let value = match held.entry(key.clone()) {
            Entry::Occupied(entry) if entry.get().0 >= max => return None,
            Entry::Occupied(mut entry) => {
                entry.get_mut().0 += 1;
                entry.get().1.clone()
            }
            Entry::Vacant(_) if max == 0 => return None,
            Entry::Vacant(entry) => entry.insert((1, create())).1.clone(),
        };
        Some(KeyedPermit {
            held: Arc::clone(&self.held),
            key,
            value,
        })
    }

    /// Returns the number of permits that `key` holds.
    pub fn held(&self, key: &K) -> usize {
        self.held.lock().get(key).map_or(0, |(count, _)| *count)
    }

    /// Returns the value that the holders of `key` share; `None` if it holds no permit.
    pub fn value(&self, key: &K) -> Option<V> {
        self.held.lock().get(key).map(|(_, value)| value.clone())
    }

    /// Returns the values of all keys.
    pub fn values(&self) -> Vec<V> {
        let held = self.held.lock();
        held.values().map(|(_, value)| value.clone()).collect()
    }

    /// Returns whether no permit is held.
    pub fn is_empty(&self) -> bool {
        self.held.lock().is_empty()
    }
}

impl<K: Eq + Hash, V> KeyedPermit<K, V> {
    /// Returns the value that the holders of the key share.
    pub fn value(&self) -> &V {
        &self.value
    }
}

impl<K: Eq + Hash, V> Drop for KeyedPermit<K, V> {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        if let Some((count, _)) = held.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_bounded_for_each_key_and_come_back() {
        let permits = KeyedPermits::default();
        let first = permits.acquire("ana", 2).unwrap();
        let second = permits.acquire("ana", 2).unwrap();
        assert!(permits.acquire("ana", 2).is_none());
        assert!(permits.acquire("ben", 0).is_none());
        let other = permits.acquire("ben", 1).unwrap();
        assert_eq!((permits.held(&"ana"), permits.held(&"ben")), (2, 1));
        drop(first);
        assert!(permits.acquire("ana", 2).is_some());
        drop((second, other));
        assert!(permits.is_empty());
    }

    #[test]
    fn a_value_lives_as_long_as_a_permit_of_its_key() {
        let permits = KeyedPermits::default();
        let first = permits.acquire_with("ana", 9, || 1).unwrap();
        let second = permits.acquire_with("ana", 9, || 2).unwrap();
        assert_eq!(*second.value(), 1);
        assert_eq!(
            (permits.value(&"ana"), permits.values()),
            (Some(1), vec![1])
        );
        drop((first, second));
        assert_eq!((permits.value(&"ana"), permits.values()), (None, vec![]));
        let third = permits.acquire_with("ana", 9, || 3).unwrap();
        assert_eq!(*third.value(), 3);
    }
}
