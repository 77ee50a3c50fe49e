//! No cap is exceeded, whoever asks at the same time, and whenever the process dies.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;
mod killed;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    thread,
};

use common::*;
use jiff::{SignedDuration, Timestamp};
use osmoda_chains::{U256, effects::Chain};
use osmoda_keyd::spending::{Approve, Event, Group, Purpose, Reserve, SpendError, Spending, Used};
use osmoda_schemas::name::Name;
use osmoda_wallet_policy::{Period, Spend, What};

/// Callers at the same time.
const WRITERS: u64 = 32;

fn clock(now: &Arc<AtomicI64>) -> impl Fn() -> Timestamp + Send + 'static {
    let now = Arc::clone(now);
    move || Timestamp::from_millisecond(now.load(Ordering::SeqCst)).unwrap()
}

/// As many requests as `OSMODA_RESERVATIONS` says, 6,400 unless it says so, of writers that know nothing of each other.
#[test]
fn many_callers_do_not_exceed_a_cap() {
    let requests = std::env::var("OSMODA_RESERVATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(6_400_u64);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("book.db");
    // The clock runs, and is set back now and then.
    let now = Arc::new(AtomicI64::new(START));
    let book = Arc::new(Spending::open(&file, clock(&now)).unwrap());
    let (granted, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (book, now) = (Arc::clone(&book), Arc::clone(&now));
            let (granted, refused) = (Arc::clone(&granted), Arc::clone(&refused));
            thread::spawn(move || {
                let mut chance = fastrand::Rng::with_seed(writer);
                for request in 0..requests / WRITERS {
                    let step = if chance.u32(..50) == 0 { -600_000 } else { chance.i64(0..40_000) };
                    now.fetch_add(step, Ordering::SeqCst);
                    let asked = ask(&mut chance, (writer, request));
                    match book.reserve(asked.clone()) {
                        Ok(reservation) => {
                            assert!(!reservation.again, "two payloads are one");
                            granted.fetch_add(1, Ordering::SeqCst);
                            if chance.u32(..20) == 0 {
                                assert!(book.reserve(asked).unwrap().again, "the same once more costs nothing");
                            }
                        }
                        Err(SpendError::Limit { .. } | SpendError::Signatures { .. }) => {
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    drop(book);
    let (granted, refused) = (granted.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
    assert_eq!(granted + refused, requests / WRITERS * WRITERS);
    assert!(granted > 50 && refused > 50, "{granted} granted, {refused} refused: the test shows nothing");
    assert_eq!(caps_hold(&file), usize::try_from(granted).unwrap());
    println!("{requests} requests of {WRITERS} writers: {granted} granted, {refused} refused, no cap exceeded");
}

fn one(amount: u64, payload: u8) -> Reserve {
    let amount = U256::from(amount);
    Reserve {
        wallet: "w".parse().unwrap(),
        account: account(),
        policy: "p".parse().unwrap(),
        group: Group { wallets: vec!["w".parse().unwrap()], ..Group::default() },
        payload: [payload; 32],
        chain: Chain::Ethereum,
        chain_id: Some(1),
        spends: vec![Spend { chain: Chain::Ethereum, chain_id: Some(1), what: What::Native, amount }],
        limits: vec![(limit("hour", &[], 100, Period::Window(SignedDuration::from_hours(1)), Some(3)), amount)],
        caller: 1000,
        approvers: None,
        note: note(),
    }
}

fn open(file: &Path, now: &Arc<AtomicI64>) -> Spending {
    Spending::open(file, clock(now)).unwrap()
}

#[test]
fn sums_survive_and_time_does_not_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("book.db");
    let now = Arc::new(AtomicI64::new(START));
    let first = open(&file, &now).reserve(one(60, 1)).unwrap();
    let book = open(&file, &now);
    let over = book.reserve(one(41, 2)).unwrap_err();
    assert!(matches!(&over, SpendError::Limit { left, .. } if *left == U256::from(40_u64)), "{over}");
    assert_eq!(book.reserve(one(60, 1)).unwrap(), osmoda_keyd::spending::Reservation { id: first.id, again: true });
    book.reserve(one(40, 3)).unwrap();
    // An hour later; and then the clock is set back to before all of it.
    now.fetch_add(3_600_001, Ordering::SeqCst);
    let later = book.reserve(one(100, 4)).unwrap();
    now.store(START - 86_400_000, Ordering::SeqCst);
    assert!(book.reserve(one(1, 5)).is_err());
    drop(book);
    let book = open(&file, &now);
    assert!(book.reserve(one(1, 5)).is_err(), "nor after a restart");
    // Of what was not signed nothing counts.
    book.release(later.id).unwrap();
    assert!(!book.reserve(one(99, 4)).unwrap().again);
}

#[test]
fn signatures_have_a_limit_too() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(START));
    let book = open(&folder.path().join("book.db"), &now);
    (1..=3).for_each(|payload| assert!(!book.reserve(one(1, payload)).unwrap().again));
    assert!(matches!(book.reserve(one(1, 4)), Err(SpendError::Signatures { most: 3, .. })));
    let limits: Vec<_> = one(0, 0).limits.into_iter().map(|(limit, _)| limit).collect();
    assert_eq!(book.left(one(0, 0).group, limits).unwrap(), [(U256::from(97_u64), Some(0))]);
}

#[test]
fn an_approval_is_of_one_payload_by_somebody_else_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(START));
    let book = open(&folder.path().join("book.db"), &now);
    let asked = |payload| Reserve { approvers: Some(vec![1000, 2000]), ..one(1, payload) };
    let is_refused = |payload| matches!(book.reserve(asked(payload)), Err(SpendError::NotApproved));
    assert!(is_refused(1));
    let until = Timestamp::from_millisecond(START + 60_000).unwrap();
    let approve = |payload: u8, approver| {
        let wallet = "w".parse().unwrap();
        book.approve(Approve { wallet, purpose: Purpose::Sign, payload: [payload; 32], approver, until, note: note() })
            .unwrap();
    };
    approve(1, 1000);
    assert!(is_refused(1), "nobody approves what they ask for");
    approve(1, 3000);
    assert!(is_refused(1), "somebody who may not approve, or not any longer");
    let end = Approve {
        wallet: "w".parse().unwrap(),
        purpose: Purpose::Destroy,
        payload: [1; 32],
        approver: 0,
        until,
        note: note(),
    };
    book.approve(end).unwrap();
    assert!(is_refused(1), "for something else");
    approve(1, 2000);
    approve(1, 1000);
    assert!(is_refused(2), "another payload");
    let granted = book.reserve(asked(1)).unwrap();
    book.release(granted.id).unwrap();
    assert!(is_refused(1), "it was used");
    approve(3, 0);
    now.fetch_add(60_000, Ordering::SeqCst);
    assert!(is_refused(3), "it is over");
}

#[test]
fn what_happened_is_told_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("book.db");
    let now = Arc::new(AtomicI64::new(START));
    let book = open(&file, &now);
    let first = book.reserve(one(1, 1)).unwrap();
    // What is refused did not happen.
    assert!(book.reserve(one(1000, 2)).is_err());
    book.release(first.id).unwrap();
    book.release(first.id).unwrap();
    let (wallet, until) = ("w".parse::<Name>().unwrap(), Timestamp::from_millisecond(START + 60_000).unwrap());
    let used =
        Used { wallet: wallet.clone(), purpose: Purpose::Destroy, payload: [9; 32], caller: 0, approvers: vec![1] };
    let unused = book.use_approval(used.clone(), note());
    assert!(matches!(unused, Err(SpendError::NotApproved)));
    let approve = Approve { wallet, purpose: Purpose::Destroy, payload: [9; 32], approver: 1, until, note: note() };
    book.approve(approve).unwrap();
    let elsewhere = book.use_approval(Used { purpose: Purpose::Export, ..used.clone() }, note());
    assert!(matches!(elsewhere, Err(SpendError::NotApproved)), "for something else");
    book.use_approval(used, note()).unwrap();
    book.note(note()).unwrap();
    drop(book);
    let (events, last) = open(&file, &now).events(0, 10).unwrap();
    assert_eq!(last, events[4].id);
    let told: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.reservation)).collect();
    let (signed, released) = (("wallet.signed", Some(first.id)), ("wallet.released", Some(first.id)));
    let other = ("wallet.signed", None);
    assert_eq!(told, [signed, released, other, other, other]);
    let (from, _): (Vec<Event>, _) = open(&file, &now).events(events[1].id, 2).unwrap();
    assert_eq!(from, events[2..4]);
    assert_eq!((events[0].payload.as_str(), events[0].at.as_millisecond()), (r#"{"a":1}"#, START));
}

#[test]
fn what_somebody_else_was_granted_again_is_not_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(START));
    let book = open(&folder.path().join("book.db"), &now);
    let first = book.reserve(one(60, 1)).unwrap();
    assert!(book.reserve(one(60, 1)).unwrap().again);
    book.release(first.id).unwrap();
    assert!(book.reserve(one(41, 2)).is_err(), "it may be signed for the other one");
}

#[test]
fn what_is_no_book_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("book.db");
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch("CREATE TABLE other (a)").unwrap();
    drop(db);
    let error = Spending::open(&file, Timestamp::now).err().unwrap().to_string();
    assert!(error.contains("is no book"), "{error}");
    std::fs::write(&file, "this is no database at all, and long enough to be read as one").unwrap();
    assert!(Spending::open(&file, Timestamp::now).is_err());
}
