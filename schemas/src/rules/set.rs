//! Rules about all objects together. They look at [`Facts`] only, so that thousands of objects cost milliseconds.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use super::Violation;
use crate::{
    kinds::{Tier, app::Protocol, mcp_server::Transport},
    object::{ContentHash, Object, ObjectRef, Spec},
};

/// What of an object matters to others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    ports: Vec<(String, Protocol, IpAddr, u16)>,
    after: Vec<ObjectRef>,
    requires: Vec<ObjectRef>,
    target: Option<ObjectRef>,
    tier: Tier,
    wallets: Vec<String>,
}

/// An object as the set rules see it.
#[derive(Clone, Copy, Debug)]
pub struct SetEntry<'a> {
    /// Its name.
    pub reference: &'a ObjectRef,
    /// Its document's hash.
    pub hash: ContentHash,
    /// True when this very version is in force already: of two that collide, the newcomer is refused.
    pub in_force: bool,
    /// What matters.
    pub facts: &'a Facts,
}

/// What of an object matters to others.
#[must_use]
pub fn facts(object: &Object) -> Facts {
    match &object.spec {
        Spec::App(app) => Facts {
            ports: app
                .enabled
                .then_some(&app.ports)
                .into_iter()
                .flatten()
                .filter_map(|(name, p)| {
                    Some((format!("spec.ports.{name}"), p.protocol, p.address.parse().ok()?, p.port))
                })
                .collect(),
            after: app.after.clone(),
            requires: app.requires.clone(),
            tier: app.tier,
            ..Facts::default()
        },
        Spec::McpServer(server) => match &server.transport {
            Transport::Http(http) if server.enabled => Facts {
                ports: vec![("spec.transport.port".to_owned(), Protocol::Tcp, IpAddr::from([127, 0, 0, 1]), http.port)],
                tier: server.tier,
                ..Facts::default()
            },
            _ => Facts { tier: server.tier, ..Facts::default() },
        },
        Spec::Routine(routine) => Facts { after: routine.after.clone(), tier: routine.tier, ..Facts::default() },
        Spec::Watcher(watcher) => Facts { target: watcher.target.clone(), tier: watcher.tier, ..Facts::default() },
        Spec::WalletPolicy(policy) => Facts { wallets: policy.wallets.clone(), ..Facts::default() },
        Spec::Wallet(_) | Spec::NixosConfig(_) => Facts::default(),
    }
}

/// Every rule that is broken, by the object that is to blame: of two that collide the one that is not in force, else
/// the later by name. Deterministic.
#[must_use]
pub fn check_set(entries: &[SetEntry<'_>]) -> Vec<(ObjectRef, Violation)> {
    let index: HashMap<&ObjectRef, &SetEntry<'_>> = entries.iter().map(|e| (e.reference, e)).collect();
    // Those in force come first, so that whoever comes second is to blame.
    let mut order: Vec<&SetEntry<'_>> = entries.iter().filter(|e| e.facts != &Facts::default()).collect();
    order.sort_by_key(|e| (!e.in_force, e.reference));
    let mut broken = Vec::new();
    references(&order, &index, &mut broken);
    ports(&order, &mut broken);
    wallets(&order, &mut broken);
    cycles(&order, &index, &mut broken);
    broken
}

type Broken = Vec<(ObjectRef, Violation)>;

fn references(order: &[&SetEntry<'_>], index: &HashMap<&ObjectRef, &SetEntry<'_>>, broken: &mut Broken) {
    for entry in order {
        let facts = entry.facts;
        let lists = [("spec.after", &facts.after), ("spec.requires", &facts.requires)];
        let listed = lists
            .iter()
            .flat_map(|(field, list)| list.iter().enumerate().map(move |(i, r)| (format!("{field}[{i}]"), r)));
        for (field, reference) in listed.chain(facts.target.iter().map(|t| ("spec.target".to_owned(), t))) {
            if !index.contains_key(reference) {
                let near = crate::document::did_you_mean(
                    &reference.to_string(),
                    index.keys().filter(|r| r.kind == reference.kind).map(ToString::to_string),
                );
                let hint = near.unwrap_or_else(|| format!("define {reference}, or leave it out"));
                broken.push((
                    entry.reference.clone(),
                    Violation::new("unknown-reference", field, format!("there is no {reference}"), hint),
                ));
            }
        }
        for (i, reference) in facts.requires.iter().enumerate() {
            let higher = index.get(reference).filter(|other| other.facts.tier < facts.tier);
            if let Some(other) = higher {
                let detail = format!("tier {} may not invoke {reference} of tier {}", facts.tier, other.facts.tier);
                let hint = "use `after` for order alone, or raise the tier";
                broken.push((
                    entry.reference.clone(),
                    Violation::new("tier-escalation", format!("spec.requires[{i}]"), detail, hint),
                ));
            }
        }
    }
}

fn ports(order: &[&SetEntry<'_>], broken: &mut Broken) {
    let mut taken: HashMap<(Protocol, u16), Vec<(IpAddr, &ObjectRef)>> = HashMap::new();
    for entry in order {
        for (field, protocol, address, port) in &entry.facts.ports {
            let holders = taken.entry((*protocol, *port)).or_default();
            let clash = holders
                .iter()
                .find(|(other, _)| other == address || other.is_unspecified() || address.is_unspecified());
            if let Some((_, holder)) = clash {
                let same = if *holder == entry.reference {
                    "it declares it itself already".to_owned()
                } else {
                    format!("{holder} declares it already")
                };
                let violation = Violation::new(
                    "port-collision",
                    format!("{field}.port").replace("transport.port.port", "transport.port"),
                    format!("port {port} is taken: {same}"),
                    "use another port or another address",
                );
                broken.push((entry.reference.clone(), violation));
            } else {
                holders.push((*address, entry.reference));
            }
        }
    }
}

fn wallets(order: &[&SetEntry<'_>], broken: &mut Broken) {
    let mut governed: BTreeMap<String, &ObjectRef> = BTreeMap::new();
    for entry in order {
        for (i, wallet) in entry.facts.wallets.iter().enumerate() {
            // An address of Ethereum may be written with its checksum, or without.
            let known = if wallet.starts_with("0x") { wallet.to_ascii_lowercase() } else { wallet.clone() };
            match governed.get(&known) {
                Some(other) if *other != entry.reference => {
                    let detail = format!("{other} governs the wallet `{wallet}` already");
                    broken.push((
                        entry.reference.clone(),
                        Violation::new(
                            "wallet-governed",
                            format!("spec.wallets[{i}]"),
                            detail,
                            "one policy governs a wallet: merge the two",
                        ),
                    ));
                }
                _ => {
                    governed.insert(known, entry.reference);
                }
            }
        }
    }
}

/// Cycles in `after` and `requires`. One object of each cycle is to blame: the last in blame order.
fn cycles(order: &[&SetEntry<'_>], index: &HashMap<&ObjectRef, &SetEntry<'_>>, broken: &mut Broken) {
    let mut done: BTreeSet<&ObjectRef> = BTreeSet::new();
    let rank: HashMap<&ObjectRef, usize> = order.iter().enumerate().map(|(i, e)| (e.reference, i)).collect();
    for start in order {
        // Depth-first with the path at hand; iterative, so that a long chain cannot overflow the stack.
        let mut path: Vec<(&ObjectRef, usize)> = vec![(start.reference, 0)];
        while let Some((at, next)) = path.last_mut() {
            let facts = index.get(*at).map(|e| e.facts);
            let edge = facts.and_then(|f| f.after.iter().chain(&f.requires).nth(*next));
            *next += 1;
            let here = *at;
            match edge {
                _ if done.contains(here) => {
                    path.pop();
                }
                None => {
                    done.insert(here);
                    path.pop();
                }
                Some(to) if !index.contains_key(to) || done.contains(to) => {}
                Some(to) => {
                    if let Some(from) = path.iter().position(|(r, _)| *r == to) {
                        let cycle: Vec<&ObjectRef> = path[from..].iter().map(|(r, _)| *r).collect();
                        let blamed = cycle.iter().max_by_key(|r| rank.get(**r)).copied().unwrap_or(to);
                        let names: Vec<String> = cycle.iter().chain([&to]).map(ToString::to_string).collect();
                        let violation = Violation::new(
                            "dependency-cycle",
                            "spec.after",
                            format!("the order goes in a circle: {}", names.join(" > ")),
                            "remove one of the links",
                        );
                        broken.push((blamed.clone(), violation));
                        done.insert(here);
                    } else {
                        path.push((to, 0));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, spec: &str) -> Object {
        Object::from_json(&format!(
            r#"{{"apiVersion":"os.moda/v1","kind":"App","metadata":{{"name":"{name}"}},"spec":{{"command":["/bin/true"]{spec}}}}}"#
        ))
        .unwrap()
    }

    fn broken(objects: &[(&str, &str, bool)]) -> Vec<(String, &'static str)> {
        let all: Vec<(ObjectRef, Facts, bool)> = objects
            .iter()
            .map(|(name, spec, in_force)| {
                let object = object(name, spec);
                (object.reference(), facts(&object), *in_force)
            })
            .collect();
        let entries: Vec<SetEntry<'_>> = all
            .iter()
            .map(|(reference, facts, in_force)| SetEntry {
                reference,
                hash: ContentHash::of(""),
                in_force: *in_force,
                facts,
            })
            .collect();
        check_set(&entries).into_iter().map(|(r, v)| (r.to_string(), v.rule)).collect()
    }

    const PORT: &str = r#","ports":{"http":{"port":80}}"#;

    #[test]
    fn the_newcomer_to_a_port_is_refused() {
        assert_eq!(broken(&[("a", PORT, false), ("b", PORT, true)]), [("App/a".to_owned(), "port-collision")]);
        assert_eq!(broken(&[("a", PORT, true), ("b", PORT, true)]), [("App/b".to_owned(), "port-collision")]);
        let any = r#","ports":{"http":{"port":80,"address":"0.0.0.0"}}"#;
        assert_eq!(broken(&[("a", PORT, true), ("b", any, false)]), [("App/b".to_owned(), "port-collision")]);
        let other = r#","ports":{"http":{"port":80,"address":"127.0.0.2"}}"#;
        assert_eq!(broken(&[("a", PORT, true), ("b", other, false)]), []);
    }

    #[test]
    fn a_cycle_blames_one_object_and_a_chain_none() {
        let after = |name: &str| format!(r#","after":["App/{name}"]"#);
        assert_eq!(broken(&[("a", &after("b"), true), ("b", &after("c"), true), ("c", "", true)]), []);
        let found = broken(&[("a", &after("b"), true), ("b", &after("c"), true), ("c", &after("a"), false)]);
        assert_eq!(found, [("App/c".to_owned(), "dependency-cycle")]);
        assert_eq!(broken(&[("a", &after("a"), false)]), [("App/a".to_owned(), "dependency-cycle")]);
    }

    #[test]
    fn references_have_to_exist_and_not_to_climb() {
        assert_eq!(broken(&[("a", r#","after":["App/b"]"#, false)]), [("App/a".to_owned(), "unknown-reference")]);
        let climbs = r#","tier":2,"requires":["App/root"]"#;
        let found = broken(&[("a", climbs, false), ("root", r#","tier":0"#, true)]);
        assert_eq!(found, [("App/a".to_owned(), "tier-escalation")]);
    }
}
