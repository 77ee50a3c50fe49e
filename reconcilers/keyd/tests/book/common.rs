//! Limits, requests, and a look at the book that is no part of it.

use std::path::Path;

use jiff::SignedDuration;
use osmoda_chains::{
    U256,
    effects::{Account, Chain},
};
use osmoda_keyd::spending::{Group, Note, Reserve};
use osmoda_schemas::{kinds::wallet_policy::Calendar, name::Name};
use osmoda_wallet_policy::{Limit, Period, Spend, What};
use rusqlite::Connection;

/// 2026-01-01T00:00:00Z, in milliseconds.
pub const START: i64 = 1_767_225_600_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// In an hour, on all chains; in a day, on the second chain.
const PER_HOUR: u64 = 5_000;
const PER_DAY: u64 = 20_000;
/// Signatures in an hour.
const SIGNATURES: u32 = 200;

pub fn limit(name: &str, chain_ids: &[u64], amount: u64, period: Period, signatures: Option<u32>) -> Limit {
    Limit {
        name: name.parse().unwrap(),
        chain: Chain::Ethereum,
        chain_ids: chain_ids.to_vec(),
        what: What::Native,
        decimals: 18,
        amount: U256::from(amount),
        period,
        signatures,
    }
}

/// A request of one of three wallets, on one of two chains.
pub fn ask(chance: &mut fastrand::Rng, (writer, request): (u64, u64)) -> Reserve {
    let wallets: Vec<Name> = ["a", "b", "c"].iter().map(|name| name.parse().unwrap()).collect();
    let chain_id = Some(1 + chance.u64(..2));
    let amount = U256::from(1 + chance.u64(..200));
    let mut payload = [0; 32];
    payload[..8].copy_from_slice(&writer.to_be_bytes());
    payload[8..16].copy_from_slice(&request.to_be_bytes());
    payload[16..24].copy_from_slice(&chance.u64(..).to_be_bytes());
    let hour = limit("hour", &[], PER_HOUR, Period::Window(SignedDuration::from_hours(1)), Some(SIGNATURES));
    let day = limit("day", &[2], PER_DAY, Period::Calendar(Calendar::Day), None);
    let limits = [hour, day].into_iter().filter(|limit| limit.is_over(Chain::Ethereum, chain_id));
    Reserve {
        wallet: wallets[chance.usize(..3)].clone(),
        account: account(),
        policy: "p".parse().unwrap(),
        group: Group { wallets, ..Group::default() },
        payload,
        chain: Chain::Ethereum,
        chain_id,
        spends: vec![Spend { chain: Chain::Ethereum, chain_id, what: What::Native, amount }],
        limits: limits.map(|limit| (limit, amount)).collect(),
        caller: 1000,
        approvers: None,
        note: note(),
    }
}

/// Adds up what is in the file, at each of its rows, in a way of its own. Gives how many rows there are.
pub fn caps_hold(file: &Path) -> usize {
    let db = Connection::open(file).unwrap();
    let mut query = db
        .prepare(
            "SELECT at, chain_id, amount FROM reservation JOIN spend ON reservation = reservation.id
             WHERE NOT released ORDER BY reservation.id",
        )
        .unwrap();
    let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<(i64, String, u128)> {
        let amount: Vec<u8> = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, u128::from_be_bytes(amount[16..].try_into().unwrap())))
    };
    let rows: Vec<(i64, String, u128)> = query.query_map([], read).unwrap().map(Result::unwrap).collect();
    for (at, (now, _, _)) in rows.iter().enumerate() {
        assert!(at == 0 || rows[at - 1].0 <= *now, "the book's time went back");
        let so_far = rows[..=at].iter().rev();
        let hour: Vec<_> = so_far.clone().take_while(|(then, ..)| then + HOUR >= *now).collect();
        let sum: u128 = hour.iter().map(|(.., amount)| amount).sum();
        assert!(sum <= u128::from(PER_HOUR), "{sum} in the hour before row {at}");
        assert!(hour.len() <= SIGNATURES as usize, "{} signatures in the hour before row {at}", hour.len());
        let today = so_far.take_while(|(then, ..)| then / DAY == now / DAY);
        let sum: u128 = today.filter(|(_, chain, _)| chain == "2").map(|(.., amount)| amount).sum();
        assert!(sum <= u128::from(PER_DAY), "{sum} on the day of row {at}");
    }
    rows.len()
}

/// Is the payload in the file?
pub fn is_known(file: &Path, payload: &[u8]) -> bool {
    let db = Connection::open(file).unwrap();
    let count: i64 =
        db.query_row("SELECT count(*) FROM reservation WHERE payload = ?", [payload], |row| row.get(0)).unwrap();
    count == 1
}

pub fn note() -> Note {
    Note { kind: "wallet.signed", payload: r#"{"a":1}"#.to_owned() }
}

pub fn account() -> Account {
    "0x00000000000000000000000000000000000000aa".parse().unwrap()
}
