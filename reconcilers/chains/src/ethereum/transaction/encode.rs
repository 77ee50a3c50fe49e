//! Bytes of transactions.

use super::{Access, Common, SignedTransaction, Transaction};
use crate::{
    U256,
    ethereum::{Address, ChainId, authorization::write_signature, rlp::Encoder},
    keys::secp256k1::Signature,
};

impl Transaction {
    /// The bytes whose hash is signed: of a legacy one a list of 6 fields, or 9 with the chain's id (EIP-155).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut list = Encoder::default();
        self.write(&mut list);
        if let Self::Legacy { chain_id: Some(id), .. } = self {
            list.number(id.get()).bytes(&[]).bytes(&[]);
        }
        self.envelope(list)
    }

    /// The fields, without a signature.
    fn write(&self, list: &mut Encoder) {
        match self {
            Self::Legacy { common, gas_price, to, chain_id: _ } => {
                list.number(common.nonce).number(*gas_price);
                rest(list, common, to.as_ref());
            }
            Self::AccessList { common, gas_price, to, chain_id, accesses } => {
                list.number(chain_id.get()).number(common.nonce).number(*gas_price);
                rest(list, common, to.as_ref());
                write_accesses(list, accesses);
            }
            Self::DynamicFee { common, max_priority_fee, max_fee, to, chain_id, accesses } => {
                list.number(chain_id.get()).number(common.nonce).number(*max_priority_fee).number(*max_fee);
                rest(list, common, to.as_ref());
                write_accesses(list, accesses);
            }
            Self::SetCode { common, max_priority_fee, max_fee, to, chain_id, accesses, authorizations } => {
                list.number(chain_id.get()).number(common.nonce).number(*max_priority_fee).number(*max_fee);
                rest(list, common, Some(to));
                write_accesses(list, accesses);
                list.list(|list| authorizations.iter().for_each(|authorization| authorization.write(list)));
            }
        }
    }

    /// The list, after the byte of its type (EIP-2718).
    fn envelope(&self, list: Encoder) -> Vec<u8> {
        let kind: &[u8] = match self {
            Self::Legacy { .. } => &[],
            Self::AccessList { .. } => &[1],
            Self::DynamicFee { .. } => &[2],
            Self::SetCode { .. } => &[4],
        };
        [kind, &list.finish_list()].concat()
    }
}

impl SignedTransaction {
    /// The bytes that are sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut list = Encoder::default();
        self.transaction.write(&mut list);
        list.number(v(&self.transaction, &self.signature));
        write_signature(&self.signature, &mut list);
        self.transaction.envelope(list)
    }
}

/// The parity, as a transaction of its type tells it.
fn v(transaction: &Transaction, signature: &Signature) -> U256 {
    let parity = u128::from(signature.y_parity);
    U256::from(match transaction {
        Transaction::Legacy { chain_id: None, .. } => 27 + parity,
        Transaction::Legacy { chain_id: Some(id), .. } => 35 + 2 * u128::from(ChainId::get(*id)) + parity,
        _ => parity,
    })
}

fn rest(list: &mut Encoder, common: &Common, to: Option<&Address>) {
    list.number(common.gas_limit);
    list.bytes(to.map_or(&[][..], |to| &to.0)).number(common.value).bytes(&common.data);
}

fn write_accesses(list: &mut Encoder, accesses: &[Access]) {
    list.list(|list| {
        for access in accesses {
            list.list(|list| {
                list.bytes(&access.address.0).list(|list| {
                    for key in &access.keys {
                        list.bytes(key);
                    }
                });
            });
        }
    });
}
