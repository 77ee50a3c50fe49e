//! Calls by chance, of every function that is known.

use osmoda_chains::{
    U256,
    ethereum::{
        Address,
        abi::{Authorized, Call, Sig},
    },
};
use proptest::prelude::*;

fn addresses() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address)
}

fn numbers() -> impl Strategy<Value = U256> {
    prop_oneof![any::<[u8; 32]>().prop_map(|bytes| U256::from_be_bytes(&bytes)), any::<u64>().prop_map(U256::from)]
}

fn signatures() -> impl Strategy<Value = Sig> {
    (any::<u8>(), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(v, r, s)| Sig { v, r, s })
}

pub fn calls() -> impl Strategy<Value = Call> {
    let two = (addresses(), addresses(), numbers(), numbers());
    let data = prop::collection::vec(any::<u8>(), 0..70);
    let pairs = prop::collection::vec((numbers(), numbers()), 1..5);
    (two, data, pairs, signatures(), (0_u8..13, any::<bool>(), any::<[u8; 32]>())).prop_map(
        |((a, b, n, m), data, pairs, signature, (kind, yes, nonce))| {
            let authorized = Authorized { from: a, to: b, value: n, valid_after: m, valid_before: n, nonce, signature };
            match kind {
                0 => Call::Erc20Transfer { to: a, amount: n },
                1 => Call::Erc20TransferFrom { from: a, to: b, amount: n },
                2 => Call::Erc20Approve { spender: a, amount: n },
                3 => Call::Erc20IncreaseAllowance { spender: a, added: n },
                4 => Call::Erc721SafeTransferFrom { from: a, to: b, id: n },
                5 => Call::Erc721SafeTransferFromData { from: a, to: b, id: n, data },
                6 => Call::SetApprovalForAll { operator: a, approved: yes },
                7 => Call::Erc1155SafeTransferFrom { from: a, to: b, id: n, amount: m, data },
                8 => {
                    let (ids, amounts) = pairs.into_iter().unzip();
                    Call::Erc1155SafeBatchTransferFrom { from: a, to: b, ids, amounts, data }
                }
                9 => Call::Erc2612Permit { owner: a, spender: b, value: n, deadline: m, signature },
                10 => Call::DaiPermit { holder: a, spender: b, nonce: n, expiry: m, allowed: yes, signature },
                11 => Call::Erc3009TransferWithAuthorization(authorized),
                _ => Call::Erc3009ReceiveWithAuthorization(authorized),
            }
        },
    )
}
