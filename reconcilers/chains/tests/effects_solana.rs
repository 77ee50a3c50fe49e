//! What a policy sees of Solana. Each test is an attempt to move something past it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use osmoda_chains::{
    Effects, U256,
    effects::{Account, Asset, Grant, Why},
    keys::ed25519::SecretKey,
    solana::{
        Address, BuildError, Instruction, Message, MessageError, TokenTransfer, Transaction, TransactionError,
        associated_token_address, compile,
        message::{CompiledInstruction, Header, Lookup, Version},
        programs, transfer, transfer_token,
    },
};

const MINT: Address = Address([0x22; 32]);
const THIEF: Address = Address([0x66; 32]);
const HASH: [u8; 32] = [3; 32];

fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

fn owner() -> Address {
    Address::of(&key().public())
}

fn recipient() -> Address {
    Address::of(&SecretKey::from_bytes(&[8; 32]).public())
}

fn account(address: Address) -> Account {
    Account::Solana(address)
}

fn of(instructions: &[Instruction]) -> Effects {
    Effects::of_solana(&compile(Version::V0, owner(), instructions, HASH).unwrap(), owner())
}

fn reasons(effects: &Effects) -> Vec<&Why> {
    effects.undecoded.iter().map(|part| &part.why).collect()
}

/// An instruction whose first account signs and whose accounts are all written.
fn instruction(program: Address, accounts: &[Address], data: &[&[u8]]) -> Instruction {
    let accounts = accounts.iter().map(|account| (*account, *account == owner(), true)).collect();
    Instruction { program, accounts, data: data.concat() }
}

fn order() -> TokenTransfer {
    TokenTransfer {
        from: owner(),
        to: recipient(),
        mint: MINT,
        token_program: programs::TOKEN,
        amount: 50,
        decimals: 6,
        to_program: false,
    }
}

#[test]
fn a_transfer_of_sol_is_built_signed_and_told() {
    let message = transfer(owner(), recipient(), 1_000, HASH).unwrap();
    let effects = Effects::of_solana(&message, owner());
    assert!(effects.is_decoded());
    assert_eq!(effects.functions, ["system.transfer"]);
    assert_eq!(effects.total(&Asset::Native), Some(U256::from(6_000_u64)), "with 5,000 of fee");
    assert!(effects.moves[0].reaches(&account(recipient())) && !effects.moves[0].reaches(&account(THIEF)));
    let mut transaction = Transaction::new(message);
    assert_eq!(transaction.verify(), Err(TransactionError::NotSigned(owner())));
    assert!(matches!(transaction.sign(&SecretKey::from_bytes(&[8; 32])), Err(TransactionError::NoSigner(_))));
    transaction.sign(&key()).unwrap();
    assert_eq!(transaction.verify(), Ok(()));
    assert_eq!(Transaction::decode(&transaction.encode()).as_ref(), Ok(&transaction));
    let mut spoilt = transaction.encode();
    *spoilt.last_mut().unwrap() ^= 1;
    assert!(matches!(Transaction::decode(&spoilt).unwrap().verify(), Err(TransactionError::Key(_))));
}

#[test]
fn a_transfer_of_tokens_tells_the_owner_and_the_rent() {
    let effects = Effects::of_solana(&transfer_token(&order(), HASH).unwrap(), owner());
    assert!(effects.is_decoded(), "{:?}", effects.undecoded);
    assert_eq!(effects.functions, ["associatedToken.createIdempotent", "token.transferChecked"]);
    let kept = associated_token_address(&recipient(), &MINT, &programs::TOKEN).unwrap();
    assert_eq!(effects.moves[0].to_owner, Some(account(recipient())));
    assert!(effects.moves[0].reaches(&account(recipient())), "the rent is the recipient's");
    let tokens = &effects.moves[1];
    assert_eq!((tokens.to, tokens.to_owner), (Some(account(kept)), Some(account(recipient()))));
    assert!(tokens.reaches(&account(recipient())) && !tokens.reaches(&account(THIEF)));
    assert_eq!(effects.total(&Asset::Token(account(MINT))), Some(U256::from(50_u64)));
    assert_eq!(effects.total(&Asset::Native), Some(U256::from(2_039_280 + 5_000_u64)));

    let extended = TokenTransfer { token_program: programs::TOKEN_2022, ..order() };
    let effects = Effects::of_solana(&transfer_token(&extended, HASH).unwrap(), owner());
    assert_eq!(reasons(&effects), [&Why::Extensions, &Why::Extensions]);
    let foreign = TokenTransfer { token_program: THIEF, ..order() };
    assert_eq!(transfer_token(&foreign, HASH), Err(BuildError::TokenProgram(THIEF)));
    let keyless = TokenTransfer { to: kept, ..order() };
    assert_eq!(transfer_token(&keyless, HASH), Err(BuildError::OffCurve(kept)));
}

#[test]
fn an_account_that_only_looks_like_the_recipients_is_not() {
    let create = instruction(
        programs::ASSOCIATED_TOKEN,
        &[owner(), THIEF, recipient(), MINT, programs::SYSTEM, programs::TOKEN],
        &[&[1]],
    );
    let send = instruction(
        programs::TOKEN,
        &[Address([5; 32]), MINT, THIEF, owner()],
        &[&[12], &[1, 0, 0, 0, 0, 0, 0, 0], &[6]],
    );
    let effects = of(&[create, send]);
    assert_eq!(reasons(&effects), [&Why::NotAssociated]);
    assert_eq!(effects.moves[1].to_owner, None);
    assert!(!effects.moves[1].reaches(&account(recipient())));
}

#[test]
fn unknown_programs_and_instructions_are_not_read() {
    let unknown = of(&[instruction(THIEF, &[owner()], &[&[2, 0, 0, 0]])]);
    assert_eq!((reasons(&unknown), unknown.programs.as_slice()), (vec![&Why::Program(THIEF)], &[account(THIEF)][..]));
    // Burn, mint, a batch of Token's, an extension of Token-2022, and a transfer with a byte too many.
    for (program, data) in [
        (programs::TOKEN, &[8_u8, 1, 0, 0, 0, 0, 0, 0, 0][..]),
        (programs::TOKEN, &[7, 1, 0, 0, 0, 0, 0, 0, 0]),
        (programs::TOKEN, &[255, 1]),
        (programs::TOKEN_2022, &[26, 1]),
        (programs::TOKEN, &[12, 1, 0, 0, 0, 0, 0, 0, 0, 6, 0]),
        (programs::SYSTEM, &[2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        (programs::SYSTEM, &[13, 0, 0, 0]),
        (programs::SYSTEM, &[]),
        (programs::ASSOCIATED_TOKEN, &[2]),
        (programs::COMPUTE_BUDGET, &[0]),
        (programs::MEMO, &[0xff]),
    ] {
        let effects = of(&[instruction(program, &[owner(), MINT, THIEF, recipient()], &[data])]);
        assert!(matches!(reasons(&effects)[..], [Why::Instruction(_)]), "{data:?}: {:?}", effects.undecoded);
    }
}

#[test]
fn rights_that_are_given_are_grants() {
    let kept = Address([5; 32]);
    let five = [5, 0, 0, 0, 0, 0, 0, 0];
    let approve = of(&[instruction(programs::TOKEN, &[kept, MINT, THIEF, owner()], &[&[13], &five, &[6]])]);
    let allowance = Grant::Allowance {
        asset: Asset::Token(account(MINT)),
        owner: account(owner()),
        spender: account(THIEF),
        amount: U256::from(5_u64),
        adds: false,
    };
    assert_eq!((approve.grants.as_slice(), approve.is_decoded()), (&[allowance][..], true));
    let unchecked = of(&[instruction(programs::TOKEN, &[kept, THIEF, owner()], &[&[4], &five])]);
    assert_eq!((unchecked.grants.len(), reasons(&unchecked)), (1, vec![&Why::Mint]));
    let moved = of(&[instruction(programs::TOKEN, &[kept, THIEF, owner()], &[&[3], &five])]);
    assert_eq!((moved.moves[0].asset, reasons(&moved)), (Asset::TokenOf(account(kept)), vec![&Why::Mint]));

    let right = |effects: &Effects, account: Address, right: &str| {
        let expected = Grant::Authority {
            account: Account::Solana(account),
            right: right.to_owned(),
            to: Some(Account::Solana(THIEF)),
        };
        assert_eq!(effects.grants, [expected]);
    };
    right(&of(&[instruction(programs::TOKEN, &[kept, owner()], &[&[6, 2, 1], &THIEF.0])]), kept, "accountOwner");
    right(&of(&[instruction(programs::SYSTEM, &[owner()], &[&[1, 0, 0, 0], &THIEF.0])]), owner(), "assign");
    right(
        &of(&[instruction(programs::SYSTEM, &[kept, owner()], &[&[7, 0, 0, 0], &THIEF.0])]),
        kept,
        "authorizeNonceAccount",
    );
    let create = |to| instruction(programs::SYSTEM, &[owner(), to], &[&[0; 4], &five, &five, &THIEF.0]);
    right(&of(&[create(recipient())]), recipient(), "createAccount");
    let own = instruction(programs::SYSTEM, &[recipient(), owner()], &[&[0; 4], &five, &five, &THIEF.0]);
    right(&of(&[own]), owner(), "createAccount");
    let base = [&[3, 0, 0, 0][..], &owner().0, &[1, 0, 0, 0, 0, 0, 0, 0], b"s", &five, &five, &THIEF.0];
    right(&of(&[instruction(programs::SYSTEM, &[owner(), kept], &base)]), kept, "createAccountWithSeed");
}

#[test]
fn an_owner_that_changes_is_no_longer_sure() {
    let kept = associated_token_address(&recipient(), &MINT, &programs::TOKEN).unwrap();
    let create = instruction(
        programs::ASSOCIATED_TOKEN,
        &[owner(), kept, recipient(), MINT, programs::SYSTEM, programs::TOKEN],
        &[],
    );
    let give = instruction(programs::TOKEN, &[kept, recipient()], &[&[6, 2, 1], &THIEF.0]);
    let send = instruction(
        programs::TOKEN,
        &[Address([5; 32]), MINT, kept, owner()],
        &[&[12], &[1, 0, 0, 0, 0, 0, 0, 0], &[6]],
    );
    let effects = of(&[create, give, send]);
    assert_eq!((effects.moves[1].to_owner, effects.grants.len()), (None, 1));
}

#[test]
fn closing_an_account_is_read_only_when_its_lamports_come_back() {
    let kept = Address([5; 32]);
    assert!(of(&[instruction(programs::TOKEN, &[kept, owner(), owner()], &[&[9]])]).is_decoded());
    assert_eq!(reasons(&of(&[instruction(programs::TOKEN, &[kept, THIEF, owner()], &[&[9]])])), [&Why::Close]);
}

#[test]
fn durable_nonces_are_told() {
    let advance = instruction(programs::SYSTEM, &[Address([5; 32]), Address([6; 32]), owner()], &[&[4, 0, 0, 0]]);
    assert_eq!(reasons(&of(&[advance])), [&Why::DurableNonce]);
}

#[test]
fn fees_count_signatures_and_the_price_of_units() {
    let price = |lamports: u64| instruction(programs::COMPUTE_BUDGET, &[], &[&[3], &lamports.to_le_bytes()]);
    let limit = |units: u32| instruction(programs::COMPUTE_BUDGET, &[], &[&[2], &units.to_le_bytes()]);
    assert_eq!(of(&[limit(1_000), price(1_000_001)]).max_fee, U256::from(5_000 + 1_001_u64), "rounded up");
    assert_eq!(of(&[price(1_000_000)]).max_fee, U256::from(5_000 + 200_000_u64), "without a limit");
    assert_eq!(
        of(&[limit(u32::MAX), price(1_000_000)]).max_fee,
        U256::from(5_000 + 1_400_000_u64),
        "no more than that"
    );
    assert_eq!(of(&[limit(1_400_000), price(u64::MAX)]).max_fee.to_string(), "25825441703193377261", "nothing wraps");
}

#[test]
fn another_payer_and_a_wallet_that_need_not_sign_are_told() {
    let message = transfer(recipient(), owner(), 5, HASH).unwrap();
    let effects = Effects::of_solana(&message, owner());
    assert_eq!(reasons(&effects), [&Why::NotASigner]);
    assert_eq!(effects.fee_payer, Some(account(recipient())));
    assert_eq!(effects.total(&Asset::Native), Some(U256::from(5_u64)), "the fee is another's");
}

#[test]
fn accounts_of_lookup_tables_are_not_told_and_their_order_is_the_chains() {
    let lookup = |table, writable: &[u8], readonly: &[u8]| Lookup {
        table: Address([table; 32]),
        writable: writable.to_vec(),
        readonly: readonly.to_vec(),
    };
    let header = Header { signers: 1, readonly_signers: 0, readonly_others: 1 };
    let data = [&[2, 0, 0, 0][..], &[9, 0, 0, 0, 0, 0, 0, 0]].concat();
    // Index 2 is the first table's writable entry; 3 the second's; 4 and 5 are only read.
    let send = CompiledInstruction { program: 1, accounts: vec![0, 3], data };
    let message = Message::new(
        Version::V0,
        header,
        vec![owner(), programs::SYSTEM],
        HASH,
        vec![send],
        vec![lookup(1, &[40], &[41]), lookup(2, &[50], &[51])],
    )
    .unwrap();
    assert_eq!(
        format!("{:?}", message.account(3)),
        format!("Some(Looked {{ table: {}, entry: 50 }})", Address([2; 32]))
    );
    assert_eq!(
        format!("{:?}", message.account(4)),
        format!("Some(Looked {{ table: {}, entry: 41 }})", Address([1; 32]))
    );
    assert_eq!(message.account(6), None);
    let written: Vec<bool> = (0..6).map(|index| message.is_writable(index)).collect();
    assert_eq!(written, [true, false, true, true, false, false]);
    let effects = Effects::of_solana(&message, owner());
    assert_eq!(reasons(&effects), [&Why::Lookup]);
    assert_eq!(
        (effects.moves[0].to, effects.moves[0].amount),
        (None, U256::from(9_u64)),
        "the amount is seen all the same"
    );
    assert_eq!(Message::decode(&message.encode()), Ok(message));
}

#[test]
fn messages_that_no_validator_takes_are_refused() {
    let new = |header: (u8, u8, u8), accounts: &[u8], program, indexes: &[u8]| {
        let header = Header { signers: header.0, readonly_signers: header.1, readonly_others: header.2 };
        let accounts = accounts.iter().map(|byte| Address([*byte; 32])).collect();
        let instructions = vec![CompiledInstruction { program, accounts: indexes.to_vec(), data: Vec::new() }];
        Message::new(Version::Legacy, header, accounts, HASH, instructions, Vec::new()).map(|_| ())
    };
    assert_eq!(new((1, 0, 1), &[1, 2], 1, &[0, 1]), Ok(()));
    for header in [(0, 0, 0), (1, 1, 0), (3, 0, 0), (1, 0, 2), (2, 0, 1)] {
        assert_eq!(new(header, &[1, 2], 1, &[]), Err(MessageError::Header), "{header:?}");
    }
    assert_eq!(new((1, 0, 1), &[1, 1], 1, &[]), Err(MessageError::Duplicate(Address([1; 32]))));
    assert_eq!(new((1, 0, 1), &[1, 2], 0, &[]), Err(MessageError::Program(0)));
    assert_eq!(new((1, 0, 1), &[1, 2], 2, &[]), Err(MessageError::Program(0)));
    assert_eq!(new((1, 0, 1), &[1, 2], 1, &[2]), Err(MessageError::Account(0)));
    let many: Vec<u8> = (0..40).collect();
    assert_eq!(new((1, 0, 1), &many, 1, &[]), Err(MessageError::TooLong));
    assert_eq!(Message::decode(&[0x81, 1, 0, 0]), Err(MessageError::Version(1)));
    assert_eq!(Message::decode(&[0xff; 40]), Err(MessageError::Version(127)), "a message off the chain");
    let bytes = transfer(owner(), recipient(), 1, HASH).unwrap().encode();
    assert_eq!(Message::decode(&[bytes.as_slice(), &[0]].concat()), Err(MessageError::Trailing));
    for end in 0..bytes.len() {
        assert!(Message::decode(&bytes[..end]).is_err());
    }
}
