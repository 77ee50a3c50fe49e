//! Instructions of Solana by chance, of every kind that is read, each with other accounts.

use osmoda_chains::solana::{Address, Instruction, associated_token_address, programs};
use proptest::prelude::*;

/// How many kinds there are.
const KINDS: u8 = 18;

/// Who has to sign all of them.
pub const OWNER: Address = Address([7; 32]);

fn instruction(kind: u8, [a, b, c]: [Address; 3], number: u64, text: &str) -> Instruction {
    let (amount, small) = (number.to_le_bytes(), number.to_be_bytes());
    let (small, seed) = (&small[4..], [&u64::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat());
    let kept = associated_token_address(&b, &c, &programs::TOKEN).unwrap();
    let (system, token, budget) = (programs::SYSTEM, programs::TOKEN, programs::COMPUTE_BUDGET);
    let (program, accounts, data): (Address, Vec<Address>, Vec<&[u8]>) = match kind {
        0 => (system, vec![OWNER, a], vec![&[2, 0, 0, 0], &amount]),
        1 => (system, vec![OWNER, a], vec![&[0; 4], &amount, &[9; 8], &b.0]),
        2 => (system, vec![OWNER], vec![&[1, 0, 0, 0], &a.0]),
        3 => (system, vec![OWNER, a], vec![&[3, 0, 0, 0], &OWNER.0, &seed, &amount, &[9; 8], &b.0]),
        4 => (system, vec![a, b, c, Address([9; 32]), OWNER], vec![&[5, 0, 0, 0], &amount]),
        5 => (system, vec![a, OWNER], vec![&[7, 0, 0, 0], &b.0]),
        6 => (system, vec![a, OWNER, b], vec![&[11, 0, 0, 0], &amount, &seed, &c.0]),
        7 => (token, vec![a, b, c, OWNER], vec![&[12], &amount, &[6]]),
        8 => (token, vec![a, b, c, OWNER], vec![&[13], &amount, &[6]]),
        9 => (token, vec![a, OWNER], vec![&[5]]),
        10 => (token, vec![a, OWNER], vec![&[6, 2, 1], &b.0]),
        11 => (token, vec![a, OWNER, OWNER], vec![&[9]]),
        12 => (token, vec![a], vec![&[17]]),
        13 => (programs::ASSOCIATED_TOKEN, vec![OWNER, kept, b, c, system, token], vec![&[1]]),
        14 => (budget, Vec::new(), vec![&[2], small]),
        15 => (budget, Vec::new(), vec![&[3], &amount]),
        16 => (programs::MEMO, vec![OWNER], vec![text.as_bytes()]),
        _ => (budget, Vec::new(), vec![&[1], small]),
    };
    let accounts = accounts.into_iter().map(|account| (account, account == OWNER, true)).collect();
    Instruction { program, accounts, data: data.concat() }
}

pub fn instructions() -> impl Strategy<Value = Vec<Instruction>> {
    let addresses = prop::array::uniform3(any::<[u8; 32]>().prop_map(Address));
    let one = (0..KINDS, addresses, any::<u64>(), "[a-z]{0,32}");
    prop::collection::vec(
        one.prop_map(|(kind, addresses, number, text)| instruction(kind, addresses, number, &text)),
        1..4,
    )
}
