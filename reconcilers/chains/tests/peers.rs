//! Byte for byte the same as eth-account and solders make of the same keys and contents.
//!
//! `OSMODA_PEERS` names a Python that has both (`python3 -m venv V; V/bin/pip install eth-account solders coincurve`),
//! `OSMODA_CASES` says how many cases there are (1,000), `OSMODA_SEED` which ones.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "peers/ethereum.rs"]
mod ethereum;
#[path = "peers/solana.rs"]
mod solana;
#[path = "peers/typed_data.rs"]
mod typed_data;

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use data_encoding::HEXLOWER;
use serde_json::Value;

/// A Python process that answers one line for each.
struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start(kind: &str) -> Option<Self> {
        let Ok(python) = env::var("OSMODA_PEERS") else {
            println!("SKIPPED: {kind}: OSMODA_PEERS names no Python with eth-account and solders");
            return None;
        };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/peer.py");
        let mut command = Command::new(&python);
        command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("OSMODA_PEERS, {python}: {error}"));
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut peer = Self { child, to, from };
        println!("peers: {}", peer.ask(&serde_json::json!({ "do": "hello" })));
        Some(peer)
    }

    /// The answer, which has to be one.
    fn ask(&mut self, request: &Value) -> Value {
        self.to.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} after {request}"));
        assert!(answer.get("error").is_none(), "{answer} to {request}");
        answer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn bytes<const N: usize>(chance: &mut fastrand::Rng) -> [u8; N] {
    std::array::from_fn(|_| chance.u8(..))
}

fn some(chance: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let length = chance.usize(..=most);
    (0..length).map(|_| chance.u8(..)).collect()
}

fn cases() -> u64 {
    env::var("OSMODA_CASES").map_or(1_000, |count| count.parse().expect("OSMODA_CASES is a number"))
}

/// Runs a case so many times, each with its own chance.
fn each(kind: &str, case: fn(&mut Peer, &mut fastrand::Rng)) {
    some_of(cases(), kind, case);
}

fn some_of(count: u64, kind: &str, case: fn(&mut Peer, &mut fastrand::Rng)) {
    let Some(mut peer) = Peer::start(kind) else { return };
    let seed = env::var("OSMODA_SEED").map_or(1, |seed| seed.parse().expect("OSMODA_SEED is a number"));
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..count {
        case(&mut peer, &mut chance);
    }
    println!("{kind}: {count} cases of seed {seed} are the same");
}

#[test]
fn ethereum_transactions_are_the_same() {
    each("transactions of Ethereum", ethereum::transaction);
}

#[test]
fn personal_messages_are_the_same() {
    each("EIP-191", ethereum::personal);
}

#[test]
fn typed_data_is_the_same() {
    each("EIP-712", typed_data::case);
}

#[test]
fn solana_legacy_transactions_are_the_same() {
    each("legacy transactions of Solana", solana::legacy);
}

#[test]
fn solana_transactions_with_lookup_tables_are_the_same() {
    each("transactions of Solana, version 0", solana::versioned);
}

#[test]
fn solana_messages_off_the_chain_are_the_same() {
    each("messages off the chain of Solana", solana::offchain);
}

#[test]
fn derived_addresses_are_the_same() {
    each("derived addresses of Solana", solana::derived);
}

#[test]
fn accounts_of_mnemonics_are_the_same() {
    // Fewer, for each takes 2,048 rounds of hashing.
    some_of((cases() / 20).max(5), "accounts of mnemonics", ethereum::account);
}
