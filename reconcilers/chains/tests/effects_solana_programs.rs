//! What a policy sees of those instructions of Solana's programs that move little or nothing, and of accounts that only a
//! lookup table tells.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use osmoda_chains::{
    Effects, U256,
    effects::{Account, Asset, Grant, Move, Why},
    keys::ed25519::SecretKey,
    solana::{
        Address, Instruction, Message, associated_token_address, compile,
        message::{Lookup, Version},
        programs,
    },
};

const HASH: [u8; 32] = [3; 32];
const MINT: Address = Address([0x22; 32]);
const KEPT: Address = Address([0x55; 32]);
const BASE: Address = Address([0x44; 32]);
const THIEF: Address = Address([0x66; 32]);
const FIVE: [u8; 8] = [5, 0, 0, 0, 0, 0, 0, 0];

fn owner() -> Address {
    Address::of(&SecretKey::from_bytes(&[7; 32]).public())
}

fn account(address: Address) -> Account {
    Account::Solana(address)
}

/// Every account may be written, and the owner signs.
fn instruction(program: Address, accounts: &[Address], data: &[&[u8]]) -> Instruction {
    let accounts = accounts.iter().map(|account| (*account, *account == owner(), true)).collect();
    Instruction { program, accounts, data: data.concat() }
}

fn message(instructions: &[Instruction]) -> Message {
    compile(Version::V0, owner(), instructions, HASH).unwrap()
}

fn of(instructions: &[Instruction]) -> Effects {
    Effects::of_solana(&message(instructions), owner())
}

fn reasons(effects: &Effects) -> Vec<&Why> {
    effects.undecoded.iter().map(|part| &part.why).collect()
}

fn native(from: Address, to: Address, amount: u64) -> Move {
    let (from, to) = (Some(account(from)), Some(account(to)));
    Move { asset: Asset::Native, from, to, to_owner: None, amount: U256::from(amount) }
}

/// All of it is read: that function and those moves, and nothing else.
fn tells(instruction: Instruction, function: &str, moves: &[Move]) {
    let effects = of(&[instruction]);
    assert_eq!(effects.functions, [function]);
    assert_eq!((effects.moves.as_slice(), effects.grants.as_slice()), (moves, &[][..]), "{function}");
    assert_eq!(effects.undecoded, [], "{function}");
}

/// A seed of bincode: its length in 8 bytes, and the text.
fn seed(text: &str) -> Vec<u8> {
    [&u64::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn lamports_leave_by_seeds_and_nonces_too() {
    let with_seed = [&[11, 0, 0, 0][..], &FIVE, &seed("s"), &[9; 32]];
    tells(
        instruction(programs::SYSTEM, &[KEPT, owner(), THIEF], &with_seed),
        "system.transferWithSeed",
        &[native(KEPT, THIEF, 5)],
    );
    let withdraw = [&[5, 0, 0, 0][..], &FIVE];
    let accounts = [KEPT, THIEF, Address([8; 32]), Address([9; 32]), owner()];
    tells(
        instruction(programs::SYSTEM, &accounts, &withdraw),
        "system.withdrawNonceAccount",
        &[native(KEPT, THIEF, 5)],
    );
}

#[test]
fn an_account_with_a_seed_is_told_with_its_program() {
    let create = |text: &str| {
        let data = [&[3, 0, 0, 0][..], &BASE.0, &seed(text), &FIVE, &[6, 0, 0, 0, 0, 0, 0, 0], &THIEF.0];
        of(&[instruction(programs::SYSTEM, &[owner(), KEPT], &data)])
    };
    let effects = create("seed");
    let given = Grant::Authority {
        account: account(KEPT),
        right: "createAccountWithSeed".to_owned(),
        to: Some(account(THIEF)),
    };
    assert_eq!((effects.moves.as_slice(), effects.grants.as_slice()), (&[native(owner(), KEPT, 5)][..], &[given][..]));
    assert!(effects.is_decoded() && create(&"s".repeat(32)).is_decoded());
    // Solana takes no longer seed.
    let long = create(&"s".repeat(33));
    assert_eq!(reasons(&long), [&Why::Instruction("system.createAccountWithSeed".to_owned())]);
}

#[test]
fn room_for_data_is_not_read() {
    let effects = of(&[instruction(programs::SYSTEM, &[owner()], &[&[8, 0, 0, 0], &FIVE])]);
    assert_eq!(reasons(&effects), [&Why::Instruction("system.allocate".to_owned())]);
}

#[test]
fn instructions_that_move_nothing_are_read() {
    tells(instruction(programs::TOKEN, &[KEPT, owner()], &[&[5]]), "token.revoke", &[]);
    tells(instruction(programs::TOKEN, &[KEPT], &[&[17]]), "token.syncNative", &[]);
    for memo in [programs::MEMO, programs::MEMO_V1] {
        tells(instruction(memo, &[owner()], &["grüße".as_bytes()]), "memo.memo", &[]);
    }
    let budget = |kind: u8| instruction(programs::COMPUTE_BUDGET, &[], &[&[kind], &1024_u32.to_le_bytes()]);
    tells(budget(1), "computeBudget.requestHeapFrame", &[]);
    tells(budget(4), "computeBudget.setLoadedAccountsDataSizeLimit", &[]);
    tells(budget(2), "computeBudget.setComputeUnitLimit", &[]);
}

#[test]
fn the_largest_limit_and_price_count_when_they_are_set_twice() {
    let price = |lamports: u64| instruction(programs::COMPUTE_BUDGET, &[], &[&[3], &lamports.to_le_bytes()]);
    let limit = |units: u32| instruction(programs::COMPUTE_BUDGET, &[], &[&[2], &units.to_le_bytes()]);
    // A validator refuses both; no order of them hides a fee.
    for instructions in
        [[limit(1_000), limit(9), price(7_000_000), price(1)], [limit(9), limit(1_000), price(1), price(7_000_000)]]
    {
        assert_eq!(of(&instructions).max_fee, U256::from(5_000 + 7_000_u64));
    }
}

/// The message with one more account, which a lookup table tells, in place of an index of an instruction.
fn looked_up(message: &Message, at: usize, place: usize) -> Effects {
    let mut instructions = message.instructions().to_vec();
    instructions[at].accounts[place] = u8::try_from(message.accounts().len()).unwrap();
    let lookup = Lookup { table: Address([0x77; 32]), writable: vec![3], readonly: Vec::new() };
    let (header, accounts) = (message.header(), message.accounts().to_vec());
    let message = Message::new(Version::V0, header, accounts, HASH, instructions, vec![lookup]).unwrap();
    Effects::of_solana(&message, owner())
}

#[test]
fn an_account_of_a_lookup_table_may_be_any() {
    let close = message(&[instruction(programs::TOKEN, &[KEPT, owner(), owner()], &[&[9]])]);
    assert!(Effects::of_solana(&close, owner()).is_decoded());
    assert_eq!(reasons(&looked_up(&close, 0, 1)), [&Why::Close]);

    let recipient = Address::of(&SecretKey::from_bytes(&[8; 32]).public());
    let kept = associated_token_address(&recipient, &MINT, &programs::TOKEN).unwrap();
    let accounts = [owner(), kept, recipient, MINT, programs::SYSTEM, programs::TOKEN];
    let create = instruction(programs::ASSOCIATED_TOKEN, &accounts, &[&[1]]);
    let give = instruction(programs::TOKEN, &[KEPT, owner()], &[&[6, 2, 1], &THIEF.0]);
    let send = instruction(programs::TOKEN, &[BASE, MINT, kept, owner()], &[&[12], &FIVE, &[6]]);
    let all = message(&[create, give, send]);
    let told = Effects::of_solana(&all, owner());
    assert_eq!((told.moves[1].to_owner, told.grants.len()), (Some(account(recipient)), 1), "another account's owner");
    let hidden = looked_up(&all, 1, 0);
    assert_eq!((hidden.moves[1].to_owner, hidden.grants.len()), (None, 0), "it may be the recipient's account");
    assert_eq!(reasons(&hidden), [&Why::Lookup]);
    for place in [1, 2, 3, 5] {
        let hidden = looked_up(&all, 0, place);
        assert!(reasons(&hidden).contains(&&Why::Lookup) && hidden.moves[1].to_owner.is_none(), "{place}");
    }
}

#[test]
fn a_token_account_of_a_program_that_keeps_no_tokens_is_not_read() {
    let kept = associated_token_address(&owner(), &MINT, &THIEF).unwrap();
    let accounts = [owner(), kept, owner(), MINT, programs::SYSTEM, THIEF];
    let effects = of(&[instruction(programs::ASSOCIATED_TOKEN, &accounts, &[&[1]])]);
    assert_eq!((reasons(&effects), effects.moves[0].to_owner), (vec![&Why::Program(THIEF)], None));
}
