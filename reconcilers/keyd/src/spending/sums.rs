//! Sums of what was spent, in memory: what a limit asks is told without a walk over all that was signed.

use std::collections::HashMap;

use jiff::Timestamp;
use osmoda_chains::{
    U256,
    effects::{Account, Chain},
};
use osmoda_schemas::name::Name;
use osmoda_wallet_policy::{Limit, Spend, What};

use super::Group;

/// The largest amount that is kept, 2^200: more than any limit can be (10^58), and so little that no sum of them overflows.
const MOST: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[31 - 200 / 8] = 1;
    bytes
};

/// The chain of an amount: its family, and its id (EIP-155).
pub(crate) type Place = (Chain, Option<u64>);

/// All that is kept.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    spent: HashMap<Spender, Spent>,
}

/// Whose signatures are added up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Spender {
    pub wallet: Name,
    pub account: Account,
    pub policy: Name,
}

#[derive(Debug, Default)]
struct Spent {
    amounts: HashMap<(Place, What), Series>,
    signatures: HashMap<Place, Series>,
}

/// Amounts in the order of time, each with the sum up to it.
#[derive(Debug, Default)]
struct Series {
    sums: Vec<(Timestamp, U256)>,
}

impl Series {
    fn add(&mut self, at: Timestamp, amount: U256) {
        let before = self.sums.last().map_or(U256::ZERO, |(_, sum)| *sum);
        self.sums.push((at, before.checked_add(amount).unwrap_or(U256::MAX)));
    }

    /// The sum of what was at that time or later.
    fn since(&self, begin: Timestamp) -> U256 {
        let first = self.sums.partition_point(|(at, _)| *at < begin);
        let before = first.checked_sub(1).and_then(|at| self.sums.get(at)).map_or(U256::ZERO, |(_, sum)| *sum);
        self.sums.last().and_then(|(_, all)| all.checked_sub(before)).unwrap_or(U256::ZERO)
    }
}

impl Sums {
    /// Adds a signature. Times never go back.
    pub fn add(&mut self, spender: Spender, place: Place, at: Timestamp, spends: &[Spend]) {
        let spent = self.spent.entry(spender).or_default();
        spent.signatures.entry(place).or_default().add(at, U256::ONE);
        for spend in spends {
            spent.amounts.entry((place, spend.what)).or_default().add(at, kept(spend.amount));
        }
    }

    /// What a group has moved that counts against a limit now; none: it is more than any limit.
    pub fn spent(&self, group: &Group, limit: &Limit, now: Timestamp) -> Option<U256> {
        let begin = limit.period.begin(now);
        let of = self.of(group).flat_map(|spent| &spent.amounts);
        let over = of.filter(|((place, what), _)| *what == limit.what && limit.is_over(place.0, place.1));
        over.map(|(_, series)| series.since(begin)).try_fold(U256::ZERO, U256::checked_add)
    }

    /// How many signatures of a group count against a limit now.
    pub fn signatures(&self, group: &Group, limit: &Limit, now: Timestamp) -> u64 {
        let begin = limit.period.begin(now);
        let of = self.of(group).flat_map(|spent| &spent.signatures);
        let over = of.filter(|(place, _)| limit.is_over(place.0, place.1));
        let sum = over.map(|(_, series)| series.since(begin)).try_fold(U256::ZERO, U256::checked_add);
        sum.and_then(|sum| u64::try_from(sum).ok()).unwrap_or(u64::MAX)
    }

    fn of<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Spent> {
        let is_in = |spender: &Spender| {
            group.wallets.contains(&spender.wallet)
                || group.accounts.contains(&spender.account)
                || group.policy.as_ref() == Some(&spender.policy)
        };
        self.spent.iter().filter(move |(spender, _)| is_in(spender)).map(|(_, spent)| spent)
    }
}

/// What is kept of an amount.
pub(crate) fn kept(amount: U256) -> U256 {
    amount.min(U256::from_be_bytes(&MOST))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use jiff::SignedDuration;
    use osmoda_wallet_policy::Period;

    use super::*;

    #[test]
    fn windows_slide() {
        let limit = |hours| Limit {
            name: "hour".parse().unwrap(),
            chain: Chain::Ethereum,
            chain_ids: vec![1],
            what: What::Native,
            decimals: 18,
            amount: U256::from(100_u64),
            period: Period::Window(SignedDuration::from_hours(hours)),
            signatures: None,
        };
        let spender = |name: &str, byte: u8| Spender {
            wallet: name.parse().unwrap(),
            account: Account::Solana(osmoda_chains::solana::Address([byte; 32])),
            policy: "p".parse().unwrap(),
        };
        let (a, b) = (spender("a", 1), spender("b", 2));
        let names = |all: &[&Spender]| Group {
            wallets: all.iter().map(|spender| spender.wallet.clone()).collect(),
            ..Group::default()
        };
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |minutes| start.checked_add(SignedDuration::from_mins(minutes)).unwrap();
        let spend = |amount: u64| {
            let amount = U256::from(amount);
            [Spend { chain: Chain::Ethereum, chain_id: Some(1), what: What::Native, amount }]
        };
        let mut sums = Sums::default();
        let place = (Chain::Ethereum, Some(1));
        sums.add(a.clone(), place, at(0), &spend(10));
        sums.add(b.clone(), place, at(30), &spend(5));
        sums.add(a.clone(), (Chain::Ethereum, Some(8453)), at(40), &spend(1000));
        sums.add(a.clone(), (Chain::Ethereum, None), at(50), &spend(1));
        let both = names(&[&a, &b]);
        let spent = |group: &Group, hours, minutes| sums.spent(group, &limit(hours), at(minutes)).unwrap();
        assert_eq!(spent(&both, 1, 60), U256::from(16_u64), "what is exactly an hour old counts");
        assert_eq!(spent(&both, 1, 61), U256::from(6_u64));
        assert_eq!(spent(&names(&[&a]), 1, 61), U256::ONE, "what is bound to no chain counts on each");
        assert_eq!(spent(&both, 1, 200), U256::ZERO);
        assert_eq!(sums.signatures(&both, &limit(1), at(60)), 3);
        // By address, and by the policy that let it pass, whatever the wallets are called now; each once.
        let accounts = Group { accounts: vec![a.account, b.account], ..Group::default() };
        let policy = Group { policy: Some(a.policy.clone()), ..both.clone() };
        for group in [accounts, policy] {
            assert_eq!(spent(&group, 1, 60), U256::from(16_u64));
        }
        assert_eq!(spent(&Group { policy: Some("q".parse().unwrap()), ..Group::default() }, 1, 60), U256::ZERO);
        // However much: no sum wraps.
        let most = [Spend { amount: U256::MAX, ..spend(0)[0].clone() }];
        (0..100).for_each(|_| sums.add(a.clone(), place, at(60), &most));
        assert!(sums.spent(&both, &limit(1), at(60)).unwrap() > kept(U256::MAX));
    }
}
