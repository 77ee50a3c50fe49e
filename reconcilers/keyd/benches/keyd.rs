//! Figures of wallets, each against the least that the machine needs for the same: printed as JSON lines.

#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::{
    hint::black_box,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ed25519_dalek::Signer;
use jiff::{SignedDuration, Timestamp};
use osmoda_chains::{
    Effects, U256,
    effects::{Account, Chain},
    ethereum::{
        Address, ChainId,
        transaction::{Common, Transaction},
    },
};
use osmoda_keyd::{
    key::Payload,
    signer::{FileSigner, SignerBackend},
    spending::{Group, Note, Reserve, Spending},
    vault::{Cost, Passphrase, Secret, Vault},
    wallet::{self, WalletId},
};
use osmoda_schemas::kinds::{WalletPolicy, wallet_policy::SigningOperation};
use osmoda_wallet_policy::{Limit, Period, Policy, Request, Spend, What};
use rusqlite::{Connection, params};
use serde_json::json;
use zeroize::Zeroizing;

/// Turns of each; the median counts.
const TURNS: usize = 5;
/// How long a turn signs.
const TURN: Duration = Duration::from_millis(600);
/// Decisions whose times are looked at.
const DECISIONS: usize = 100_000;

fn main() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let (signer, ids) = signer(&folder.path().join("vault"));
    signatures(&signer, &ids);
    for callers in [1, 16] {
        reserved(folder.path(), &signer, &ids[0], callers);
    }
    decisions();
}

fn figure(name: &str, unit: &str, ours: f64, reference: (&str, f64), goal: Option<(&str, bool)>) {
    let rounded = |value: f64| if value < 100.0 { (value * 1000.0).round() / 1000.0 } else { value.round() };
    let line = json!({
        "name": name, "value": rounded(ours), "unit": unit,
        "reference": reference.0, "reference_value": rounded(reference.1), "ratio": ours / reference.1,
        "goal": goal.map_or("shown", |(goal, _)| goal), "met": goal.is_none_or(|(_, met)| met),
    });
    println!("{line}");
}

/// How often something is done in a second, by one thread, each time with another number.
fn rate<T>(mut work: impl FnMut(u64) -> T) -> f64 {
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < TURN {
        // Looking at the clock is not what is measured.
        for _ in 0..16 {
            black_box(work(done));
            done += 1;
        }
    }
    done as f64 / began.elapsed().as_secs_f64()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The median of each, in turns: the machine has moods.
fn medians<const N: usize>(mut measure: impl FnMut(usize) -> f64) -> [f64; N] {
    let mut all = [const { Vec::new() }; N];
    for _ in 0..TURNS {
        for (which, figures) in all.iter_mut().enumerate() {
            figures.push(measure(which));
        }
    }
    all.map(median)
}

const SECRET: [u8; 32] = [0x46; 32];

/// A vault with a key of each chain, which stay in memory.
fn signer(folder: &Path) -> (FileSigner, [WalletId; 2]) {
    std::fs::create_dir(folder).unwrap();
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let passphrase = Passphrase::new(Zeroizing::new(b"correct horse battery staple".to_vec())).unwrap();
    Vault::init(folder, &passphrase, Cost::default()).unwrap();
    let vault = Vault::open(folder, &passphrase, Duration::from_secs(3600)).unwrap();
    let import = |name: &str, chain| {
        vault.import(&name.parse().unwrap(), &Secret::from_bytes(chain, &SECRET).unwrap()).unwrap().id
    };
    let ids = [import("ethereum", wallet::Chain::Ethereum), import("solana", wallet::Chain::Solana)];
    (FileSigner::new(Arc::new(vault)), ids)
}

fn hash(number: u64) -> [u8; 32] {
    let mut hash = [0x5a; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash
}

/// Signatures by a key in memory, without the book.
fn signatures(signer: &FileSigner, [ethereum, solana]: &[WalletId; 2]) {
    use k256::ecdsa::{SigningKey, VerifyingKey};

    let key = SigningKey::from_slice(&SECRET).unwrap();
    let [ours, checked, bare] = medians(|which| match which {
        0 => rate(|n| signer.sign(ethereum, &Payload::Hash(hash(n))).unwrap()),
        1 => rate(|n| {
            let (signature, recovery) = key.sign_prehash_recoverable(&hash(n));
            let recovered = VerifyingKey::recover_from_prehash(&hash(n), &signature, recovery).unwrap();
            assert_eq!(recovered, *key.verifying_key());
        }),
        _ => rate(|n| key.sign_prehash_recoverable(&hash(n))),
    });
    told("Ethereum", ours, ("k256: a signature, and whose it is", checked), ("k256: a signature alone", bare));

    let key = ed25519_dalek::SigningKey::from_bytes(&SECRET);
    let [ours, checked, bare] = medians(|which| match which {
        0 => rate(|n| signer.sign(solana, &Payload::Message(&message(n))).unwrap()),
        1 => rate(|n| {
            let signature = key.sign(&message(n));
            key.verifying_key().verify_strict(&message(n), &signature).unwrap();
        }),
        _ => rate(|n| key.sign(&message(n))),
    });
    let checked = ("ed25519-dalek: a signature, verified", checked);
    told("Solana", ours, checked, ("ed25519-dalek: a signature alone", bare));
}

fn message(number: u64) -> Vec<u8> {
    hash(number).repeat(6)
}

fn told(chain: &str, ours: f64, checked: (&str, f64), bare: (&str, f64)) {
    let name = format!("wallet signature, {chain}, without the book");
    let goal = Some((">= 0.9", ours / checked.1 >= 0.9));
    figure(&name, "signatures/s", ours, checked, goal);
    figure(&name, "signatures/s", ours, bare, None);
}

/// Signatures that are written down first, by so many callers, against rows that SQLite alone makes durable.
fn reserved(folder: &Path, signer: &FileSigner, wallet: &WalletId, callers: u64) {
    let [ours, bare] = medians(|which| {
        // A file of its own for each turn.
        let place = tempfile::tempdir_in(folder).unwrap();
        let file = place.path().join("book.db");
        if which == 1 { rows(&file, callers) } else { booked(&file, signer, wallet, callers) }
    });
    let name = format!("wallet signature, Ethereum, written down before, {callers} at a time");
    figure(&name, "signatures/s", ours, (&format!("bare rows made durable, {callers} a transaction"), bare), None);
}

fn booked(file: &Path, signer: &FileSigner, wallet: &WalletId, callers: u64) -> f64 {
    let book = Spending::open(file, Timestamp::now).unwrap();
    let began = Instant::now();
    let done: u64 = std::thread::scope(|scope| {
        let sign = |caller: u64| {
            let mut done = 0;
            while began.elapsed() < TURN {
                let payload = hash(caller << 32 | done);
                book.reserve(reservation(payload)).unwrap();
                black_box(signer.sign(wallet, &Payload::Hash(payload)).unwrap());
                done += 1;
            }
            done
        };
        let threads: Vec<_> = (0..callers).map(|caller| scope.spawn(move || sign(caller))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    done as f64 / began.elapsed().as_secs_f64()
}

fn rows(file: &Path, batch: u64) -> f64 {
    let mut db = Connection::open(file).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.pragma_update(None, "synchronous", "FULL").unwrap();
    db.execute_batch("CREATE TABLE bare (id INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT").unwrap();
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < TURN {
        let transaction = db.transaction().unwrap();
        for _ in 0..batch {
            let mut insert = transaction.prepare_cached("INSERT INTO bare (payload) VALUES (?)").unwrap();
            insert.execute(params![hash(done)]).unwrap();
            done += 1;
        }
        transaction.commit().unwrap();
    }
    done as f64 / began.elapsed().as_secs_f64()
}

fn reservation(payload: [u8; 32]) -> Reserve {
    let amount = U256::from(1_u64);
    let limit = Limit {
        name: "a-day".parse().unwrap(),
        chain: Chain::Ethereum,
        chain_ids: Vec::new(),
        what: What::Native,
        decimals: 18,
        amount: U256::from(u64::MAX),
        period: Period::Window(SignedDuration::from_hours(24)),
        signatures: None,
    };
    let wallet: osmoda_schemas::name::Name = "ethereum".parse().unwrap();
    Reserve {
        account: Account::Ethereum(Address([0x11; 20])),
        policy: "agent".parse().unwrap(),
        group: Group { wallets: vec![wallet.clone()], ..Group::default() },
        wallet,
        payload,
        chain: Chain::Ethereum,
        chain_id: Some(1),
        spends: vec![Spend { chain: Chain::Ethereum, chain_id: Some(1), what: What::Native, amount }],
        limits: vec![(limit, amount)],
        caller: 1000,
        approvers: None,
        note: Note { kind: "wallet.signed", payload: "{}".to_owned() },
    }
}

/// A policy of 64 rules, of which the last one lets the transaction pass, and each names 16 addresses.
fn policy() -> Policy {
    let address = |n: usize| format!("0x{n:040x}");
    let rule = |n: usize| {
        let to: Vec<String> = (0..16).map(|to| address(1 + n * 16 + to)).collect();
        json!({ "name": format!("rule-{n}"), "effect": "allow",
            "match": { "chainIds": [1], "to": to, "assets": ["native"], "maxFee": "0.01", "callers": ["agent"] } })
    };
    let document = json!({
        "wallets": ["w"], "rules": (0..64).map(rule).collect::<Vec<_>>(),
        "limits": [{ "name": "a-day", "chain": "ethereum", "amount": "1", "per": { "window": "1d" } }],
    });
    let document: WalletPolicy = serde_json::from_value(document).unwrap();
    Policy::compile(&document).unwrap()
}

/// From the bytes of a transaction to what the policy says of it.
fn decisions() {
    let policy = policy();
    let mut to = [0; 20];
    to[18..].copy_from_slice(&1024_u16.to_be_bytes());
    let transaction = Transaction::DynamicFee {
        common: Common { nonce: 1, gas_limit: 21_000, value: U256::from(1_000_u64), data: Vec::new() },
        max_priority_fee: U256::from(1_u64),
        max_fee: U256::from(1_000_000_000_u64),
        to: Some(Address(to)),
        chain_id: ChainId::MAINNET,
        accesses: Vec::new(),
    };
    let bytes = transaction.encode();
    let mut times: Vec<Duration> = Vec::with_capacity(DECISIONS);
    for _ in 0..DECISIONS {
        let began = Instant::now();
        let transaction = Transaction::decode(&bytes).unwrap();
        let effects = Effects::of_ethereum(&transaction, Address([0x11; 20]));
        let decision = policy.decide(&Request {
            operation: SigningOperation::Transaction,
            effects: &effects,
            typed_data: None,
            callers: vec!["agent".to_owned()],
            now: Timestamp::now(),
        });
        times.push(began.elapsed());
        assert!(matches!(decision.verdict, osmoda_wallet_policy::Verdict::Allow), "{decision:?}");
    }
    times.sort_unstable();
    let p99 = times[DECISIONS * 99 / 100].as_secs_f64() * 1e6;
    let name = "decision about a transaction, by a policy of 64 rules and 1,024 addresses, p99";
    figure(name, "us", p99, ("the goal", 1000.0), Some(("<= 1000 us", p99 <= 1000.0)));
}
