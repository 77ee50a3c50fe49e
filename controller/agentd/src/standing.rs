//! What comes of authors whose changes have failed. They go together as long as they get on; whose last change has failed,
//! alone or with others, goes alone until one of theirs is committed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use osmoda_generation::authors::Wishes;
use osmoda_safeswitch::QuarantineEntry;

/// Authors (uid) with changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing<'a> {
    /// They go together.
    pub good: BTreeSet<u32>,
    /// Each of them goes alone: first whose last try was longest ago.
    pub trials: Vec<u32>,
    /// What they wish has failed alone, or is held, and nothing of it has changed since.
    pub waits: BTreeMap<u32, &'a QuarantineEntry>,
}

/// Divides the authors of changes by what has failed. An author is in one entry, the latest; entries are in the order of
/// time.
pub(crate) fn standing<'a>(changes: &Wishes, entries: &'a [QuarantineEntry], now: Timestamp) -> Standing<'a> {
    let mut standing = Standing { good: BTreeSet::new(), trials: Vec::new(), waits: BTreeMap::new() };
    for entry in entries {
        for (uid, failed) in &entry.wishes {
            let Some(wished) = changes.get(uid) else { continue };
            if wished == failed && (entry.held || entry.alone && !entry.is_over(now)) {
                standing.waits.insert(*uid, entry);
            } else {
                standing.trials.push(*uid);
            }
        }
    }
    let others = changes.keys().filter(|uid| !standing.waits.contains_key(uid) && !standing.trials.contains(uid));
    standing.good = others.copied().collect();
    standing
}

#[cfg(test)]
mod tests {
    use osmoda_safeswitch::Quarantine;
    use osmoda_schemas::object::ContentHash;

    use super::*;

    fn wishes(of: &[(u32, &str)]) -> Wishes {
        of.iter().map(|(uid, text)| (*uid, ContentHash::of(text))).collect()
    }

    fn failed(of: &[(u32, &str)]) -> QuarantineEntry {
        QuarantineEntry {
            path: format!("{of:?}"),
            reason: "it failed".to_owned(),
            switch: String::new(),
            at: osmoda_schemas::now(),
            again: None,
            wishes: wishes(of),
            alone: of.len() == 1,
            held: false,
        }
    }

    fn waiting(changes: &[(u32, &str)], entries: &[QuarantineEntry]) -> Vec<u32> {
        standing(&wishes(changes), entries, osmoda_schemas::now()).waits.into_keys().collect()
    }

    #[test]
    fn who_failed_alone_waits_until_something_of_theirs_changes_and_goes_alone_then() {
        let entries = [failed(&[(1, "bad")])];
        assert_eq!(waiting(&[(1, "bad"), (2, "new")], &entries), [1]);
        let changes = wishes(&[(1, "changed"), (2, "new")]);
        let standing = standing(&changes, &entries, osmoda_schemas::now());
        assert_eq!((standing.trials, standing.good), (vec![1], BTreeSet::from([2])));
    }

    #[test]
    fn what_is_held_comes_back_neither_by_halves_nor_with_others() {
        let entries = [QuarantineEntry { held: true, ..failed(&[(1, "a"), (2, "b")]) }];
        assert_eq!(waiting(&[(1, "a"), (2, "b")], &entries), [1, 2]);
        assert_eq!(waiting(&[(1, "a"), (2, "b2"), (3, "c")], &entries), [1]);
    }

    #[test]
    fn builds_are_tried_again_when_it_is_time() {
        let now = osmoda_schemas::now();
        let again = osmoda_safeswitch::Again { at: now, tries: 1 };
        let entries = [QuarantineEntry { again: Some(again), ..failed(&[(1, "bad")]) }];
        assert_eq!(standing(&wishes(&[(1, "bad")]), &entries, now).trials, [1]);
    }

    /// Whoever is bad, and however often they change what they wish: everybody else's change is made real soon.
    #[test]
    fn everybody_who_can_gets_their_change() {
        let folder = tempfile::tempdir().unwrap();
        for (bad, restless) in (0..16_u32).flat_map(|bad| [(bad, false), (bad, true)]) {
            let quarantine = Quarantine::new(folder.path().join(format!("{bad}{restless}")));
            let is_bad = |uid: &u32| bad >> uid & 1 == 1;
            let mut open: BTreeMap<u32, u32> = (0..4).map(|uid| (uid, 0)).collect();
            let mut is_trial_next = false;
            for round in 1..12 {
                let texts: Vec<(u32, String)> = open.iter().map(|(uid, n)| (*uid, n.to_string())).collect();
                let of = |which: &dyn Fn(&u32) -> bool| -> Vec<(u32, &str)> {
                    texts.iter().filter(|(uid, _)| which(uid)).map(|(uid, text)| (*uid, text.as_str())).collect()
                };
                let entries = quarantine.list().unwrap();
                let now = standing(&wishes(&of(&|_| true)), &entries, osmoda_schemas::now());
                let trial = now.trials.first().filter(|_| is_trial_next || now.good.is_empty());
                let going = trial.map_or_else(|| now.good.clone(), |uid| BTreeSet::from([*uid]));
                is_trial_next = trial.is_none();
                if going.iter().any(is_bad) {
                    let mut entry = failed(&of(&|uid| going.contains(uid)));
                    entry.path = format!("{round}");
                    quarantine.add(entry).unwrap();
                } else {
                    let gone = wishes(&of(&|uid| going.contains(uid)));
                    quarantine.release("", || gone).unwrap();
                    open.retain(|uid, _| !going.contains(uid));
                }
                if restless {
                    open.iter_mut().filter(|(uid, _)| is_bad(uid)).for_each(|(_, n)| *n += 1);
                }
            }
            assert!(open.keys().all(is_bad), "{bad:b} {restless}: {open:?}");
        }
    }
}
