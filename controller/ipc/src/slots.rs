//! How many connections are served at a time, so that no user can keep the others out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Connections of root: nobody else's count against them.
const ROOT: usize = 256;
/// Connections of all other users together.
const OTHERS: usize = 256;
/// Connections of one of the other users.
const EACH: usize = 64;

/// Counts open connections by user. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slots {
    open: Arc<Mutex<BTreeMap<u32, usize>>>,
}

/// The right to a connection; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    uid: u32,
}

impl Slots {
    /// A slot for one more connection of a user; none when there are too many.
    pub fn take(&self, uid: u32) -> Option<Slot> {
        let mut open = self.open();
        let mine = open.get(&uid).copied().unwrap_or_default();
        let free = if uid == 0 {
            mine < ROOT
        } else {
            let others: usize = open.iter().filter(|(uid, _)| **uid != 0).map(|(_, count)| count).sum();
            mine < EACH && others < OTHERS
        };
        free.then(|| {
            open.insert(uid, mine + 1);
            Slot { slots: self.clone(), uid }
        })
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.open();
        match open.get_mut(&self.uid) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.uid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_place_of_others() {
        let slots = Slots::default();
        let of = |uid: u32| -> Vec<Slot> { std::iter::from_fn(|| slots.take(uid)).collect() };
        let first = of(1000);
        assert_eq!(first.len(), EACH);
        let more: Vec<Vec<Slot>> = (1001..1010).map(of).collect();
        assert_eq!(more.iter().map(Vec::len).sum::<usize>(), OTHERS - EACH);
        assert_eq!(of(0).len(), ROOT, "root has its own");
        drop(first);
        assert_eq!(of(2000).len(), EACH);
        drop(more);
        assert!(slots.open().is_empty(), "every slot is given back");
    }
}
