//! Whether a policy that takes another one's place may let anything pass that the other one did not.

use std::collections::HashSet;

use osmoda_schemas::kinds::{
    WalletPolicy,
    wallet_policy::{self as schema, Conditions, Effect, Rule},
};

use crate::amount::Amount;

/// True unless it is certain that all that the new policy signs, the old one would have signed, with no fewer approvals.
/// Without an old one whatever is let pass is new; without a new one another policy may govern its wallets.
#[must_use]
pub fn loosens(old: Option<&WalletPolicy>, new: Option<&WalletPolicy>) -> bool {
    match (old, new) {
        (_, None) => true,
        (None, Some(new)) => new.exportable || new.rules.iter().any(|rule| rule.effect != Effect::Deny),
        (Some(old), Some(new)) => !is_as_tight(old, new),
    }
}

fn is_as_tight(old: &WalletPolicy, new: &WalletPolicy) -> bool {
    is_same_set(&old.wallets, &new.wallets)
        && old.tokens == new.tokens
        && is_subset(&new.approvers, &old.approvers)
        && (old.exportable || !new.exportable)
        && limits(&old.limits, &new.limits)
        && rules(&old.rules, &new.rules)
}

/// Each old limit is there, and no larger. A new one is over an asset that had one: without any, nothing is moved.
fn limits(old: &[schema::Limit], new: &[schema::Limit]) -> bool {
    let is_over = |one: &schema::Limit, other: &schema::Limit| {
        one.chain == other.chain && one.asset == other.asset && is_same_set(&one.chain_ids, &other.chain_ids)
    };
    let is_kept = |before: &schema::Limit| {
        new.iter().any(|after| {
            is_over(before, after)
                && before.per == after.per
                && is_at_most(Some(&after.amount), Some(&before.amount))
                && before.signatures.is_none_or(|most| after.signatures.is_some_and(|now| now <= most))
        })
    };
    old.iter().all(is_kept) && new.iter().all(|after| old.iter().any(|before| is_over(before, after)))
}

/// What refuses is there as it was and in its place; what allows is there, narrower, or gone. What is new refuses. Where
/// something wants an approval, all but that is as it was.
fn rules(old: &[Rule], new: &[Rule]) -> bool {
    // What is allowed has a limit, and what is approved needs none: what comes to somebody who approves instead of a rule that
    // allows may be more.
    let asks_nobody = old.iter().all(|rule| rule.effect == Effect::Deny || is_plain(rule));
    let mut old = old.iter();
    for after in new {
        if after.effect == Effect::Deny && old.clone().all(|before| before.name != after.name) {
            continue;
        }
        // What allows may have gone before it.
        let before = old.find(|before| before.name == after.name || !(asks_nobody && is_plain(before)));
        let Some(before) = before.filter(|before| before.name == after.name) else { return false };
        let may_narrow = asks_nobody && is_plain(before);
        let is_kept = before.effect == after.effect
            && before.approval_above == after.approval_above
            && (before.conditions == after.conditions
                || (may_narrow && is_narrower(&before.conditions, &after.conditions)));
        if !is_kept {
            return false;
        }
    }
    old.all(|rule| asks_nobody && is_plain(rule))
}

/// It allows, and asks nobody: what it does not match any longer is decided by rules that are no looser for it.
fn is_plain(rule: &Rule) -> bool {
    rule.effect == Effect::Allow && rule.approval_above.is_none()
}

/// Does all that fits the new conditions fit the old ones?
fn is_narrower(old: &Conditions, new: &Conditions) -> bool {
    // Where an empty list means any.
    fn any<T: std::hash::Hash + Eq>(old: &[T], new: &[T]) -> bool {
        old.is_empty() || (!new.is_empty() && is_subset(new, old))
    }
    // Where to name something lets through what an empty list does not.
    fn named<T: std::hash::Hash + Eq>(old: &[T], new: &[T]) -> bool {
        is_subset(new, old) && old.is_empty() == new.is_empty()
    }
    fn debug<T: std::fmt::Debug>(list: &[T]) -> Vec<String> {
        list.iter().map(|entry| format!("{entry:?}")).collect()
    }
    any(&debug(&old.chains), &debug(&new.chains))
        && any(&old.chain_ids, &new.chain_ids)
        && any(&old.assets, &new.assets)
        && any(&old.callers, &new.callers)
        && any(&old.hours, &new.hours)
        && named(&old.to, &new.to)
        && named(&old.functions, &new.functions)
        && named(&old.programs, &new.programs)
        && named(&old.typed_data_domains, &new.typed_data_domains)
        && named(&old.typed_data_types, &new.typed_data_types)
        && named(&old.delegates, &new.delegates)
        && named(&debug(&old.operations), &debug(&new.operations))
        && named(&debug(&old.undecoded), &debug(&new.undecoded))
        && is_at_most(new.max_amount.as_ref(), old.max_amount.as_ref())
        && is_at_most(new.max_fee.as_ref(), old.max_fee.as_ref())
}

/// Without an amount there is no ceiling.
fn is_at_most(new: Option<&schema::Amount>, old: Option<&schema::Amount>) -> bool {
    let units = |amount: &schema::Amount| Amount::parse(&amount.0).map(|amount| amount.units(18));
    match (new, old) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(new), Some(old)) => matches!((units(new), units(old)), (Some(new), Some(old)) if new <= old),
    }
}

fn is_subset<T: std::hash::Hash + Eq>(part: &[T], whole: &[T]) -> bool {
    let whole: HashSet<&T> = whole.iter().collect();
    part.iter().all(|entry| whole.contains(entry))
}

fn is_same_set<T: std::hash::Hash + Eq>(one: &[T], other: &[T]) -> bool {
    is_subset(one, other) && is_subset(other, one)
}
