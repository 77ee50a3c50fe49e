//! Keys that are in memory for a while.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{key::Key, wallet::Name};

/// Keys, each with an end that no use puts off. A key is wiped when its time has come and nobody signs with it any more.
#[derive(Debug)]
pub struct Unlocked {
    keep: Duration,
    /// Each on the heap by itself, so that no growth of the map leaves a copy behind.
    keys: BTreeMap<Name, (Arc<Key>, Instant)>,
}

impl Unlocked {
    /// None yet; each stays for so long. With zero none ever stays.
    #[must_use]
    pub fn new(keep: Duration) -> Self {
        Self { keep, keys: BTreeMap::new() }
    }

    /// A key whose time has not come.
    #[must_use]
    pub fn get(&mut self, name: &Name, now: Instant) -> Option<Arc<Key>> {
        self.sweep(now);
        self.keys.get(name).map(|(key, _)| Arc::clone(key))
    }

    /// Keeps a key from now on.
    pub fn insert(&mut self, name: Name, key: Arc<Key>, now: Instant) {
        if let Some(until) = now.checked_add(self.keep).filter(|until| *until > now) {
            self.keys.insert(name, (key, until));
        }
    }

    /// Wipes those whose time has come; gives how many they were. The daemon calls it by a timer.
    pub fn sweep(&mut self, now: Instant) -> usize {
        let before = self.keys.len();
        self.keys.retain(|_, (_, until)| *until > now);
        before - self.keys.len()
    }

    /// Wipes one.
    pub fn forget(&mut self, name: &Name) {
        self.keys.remove(name);
    }

    /// Wipes all.
    pub fn clear(&mut self) {
        self.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wallet::Chain;

    #[test]
    fn a_key_ends_at_its_time_and_use_does_not_put_it_off() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let name: Name = "a".parse().unwrap();
        let key = Arc::new(Key::from_bytes(Chain::Solana, &[7; 32]).unwrap());
        let mut keys = Unlocked::new(Duration::from_secs(10));
        keys.insert(name.clone(), Arc::clone(&key), start);
        for seconds in 0..10 {
            assert!(keys.get(&name, after(seconds)).is_some());
        }
        assert_eq!(Arc::strong_count(&key), 2);
        assert!(keys.get(&name, after(10)).is_none());
        assert_eq!(Arc::strong_count(&key), 1, "it is still held, and so not wiped");
        keys.insert(name.clone(), Arc::clone(&key), after(10));
        assert_eq!((keys.sweep(after(19)), keys.sweep(after(20)), keys.sweep(after(20))), (0, 1, 0));
        keys.insert(name.clone(), Arc::clone(&key), after(20));
        keys.forget(&name);
        assert!(keys.get(&name, after(20)).is_none());
        let mut never = Unlocked::new(Duration::ZERO);
        never.insert(name.clone(), key, start);
        assert!(never.get(&name, start).is_none());
        let mut forever = Unlocked::new(Duration::MAX);
        forever.insert(name.clone(), Arc::new(Key::from_bytes(Chain::Solana, &[7; 32]).unwrap()), start);
        assert!(forever.get(&name, start).is_none(), "a time that cannot be told is none");
    }

    #[test]
    fn nothing_secret_is_printed() {
        let mut keys = Unlocked::new(Duration::from_secs(10));
        keys.insert(
            "a".parse().unwrap(),
            Arc::new(Key::from_bytes(Chain::Ethereum, &[0x46; 32]).unwrap()),
            Instant::now(),
        );
        let text = format!("{keys:?}").to_lowercase();
        assert!(text.contains("ethereum 0x02") || text.contains("ethereum 0x03"), "{text}");
        assert!(!text.contains("4646") && !text.contains("70, 70"), "{text}");
    }
}
