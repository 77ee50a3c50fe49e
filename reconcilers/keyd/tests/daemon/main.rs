//! The daemon, a process of its own, asked over its socket by several users.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod world;

use std::{fs, os::unix::net::UnixListener, sync::Arc, time::Duration};

use osmoda_chains::{
    base58,
    ethereum::{Address, transaction::SignedTransaction},
    hex, solana,
};
use osmoda_keyd::{
    signer::{FileSigner, serve},
    vault::{Cost, Passphrase, Secret, Vault},
    wallet::Chain,
};
use osmoda_schemas::{
    kinds::wallet_policy::Chain as WrittenChain,
    operation::Nothing,
    ops::keyd::{
        Approve, ApproveRequest, CreateWallet, CreateWalletRequest, DeleteWallet, DeleteWalletRequest, Explain,
        ExportWallet, ExportWalletRequest, ImportWallet, ImportWalletRequest, ListReceipts, ListWallets, Order,
        Purpose, ReceiptsRequest, SignRequest,
    },
};
use serde_json::{Value, json};
use world::{AGENT, World, refused, transfer};

const SHOP: &str = "0x00000000000000000000000000000000000000aa";
const HOST: &str = "0x00000000000000000000000000000000000000bb";
const THIEF: &str = "0x00000000000000000000000000000000000000cc";

/// These tests have callers of several users.
macro_rules! root {
    () => {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: needs root, for callers of several users");
            return;
        }
    };
}

/// An agent may send 0.1 a day to two addresses.
fn policy() -> Value {
    json!({
        "wallets": ["payments"],
        "rules": [{
            "name": "suppliers", "effect": "allow",
            "match": {
                "chains": ["ethereum"], "chainIds": [1], "to": [SHOP, HOST], "assets": ["native"],
                "maxAmount": "0.05", "maxFee": "0.001", "callers": [AGENT.to_string()],
            },
            "approvalAbove": "0.045",
        }],
        "limits": [{ "name": "a-day", "chain": "ethereum", "amount": "0.1", "per": { "window": "1d" } }],
    })
}

fn ethereum() -> Value {
    json!({ "chain": "ethereum" })
}

#[test]
fn an_agent_gets_what_its_policy_says_and_no_more() {
    root!();
    let mut world = World::new();
    let first = world.activate(&[("payments", ethereum())], &[("agent", policy())]);
    let wallet = world.wallet("payments");
    let address: Address = wallet.address.unwrap().parse().unwrap();
    assert_eq!((wallet.policy.unwrap().as_str(), wallet.fault), ("agent", None));

    let signed = world.sign(AGENT, "payments", &transfer(SHOP, "0.04", 0)).unwrap();
    let transaction = SignedTransaction::decode(&hex::decode(&signed.transaction.unwrap()).unwrap()).unwrap();
    assert_eq!(transaction.signer().unwrap(), address);
    assert_eq!(hex::encode(&transaction.hash()), signed.transaction_hash.unwrap());
    assert_eq!(signed.max_fee.as_deref(), Some("0.00042"));
    assert!(world.sign(AGENT, "payments", &transfer(SHOP, "0.04", 0)).unwrap().again, "the same costs nothing");
    world.sign(AGENT, "payments", &transfer(HOST, "0.04", 1)).unwrap();

    let ask = |uid, order: &Order| world.sign(uid, "payments", order);
    assert_eq!(
        refused(ask(AGENT, &transfer(SHOP, "0.04", 2)), &["`a-day`", "0.01916 more", "0.04042"]),
        "limit-reached"
    );
    assert_eq!(refused(ask(AGENT, &transfer(THIEF, "0.001", 2)), &["no rule", "suppliers: ", "agent"]), "no-rule");
    assert_eq!(refused(ask(0, &transfer(SHOP, "0.001", 2)), &["no rule", "suppliers: "]), "no-rule");
    for order in [
        json!({ "type": "rawHash", "bytes": format!("0x{}", "11".repeat(32)) }),
        json!({ "type": "message", "text": "I owe you" }),
        json!({ "type": "authorization", "chainId": 1, "delegate": THIEF, "nonce": 3 }),
        json!({ "type": "build", "to": SHOP, "data": "0x12345678", "gas":
            { "chainId": 1, "nonce": 2, "limit": 50000, "price": "1" } }),
        json!({ "type": "build", "to": SHOP, "value": "1", "gas": { "chainId": 10, "nonce": 2, "price": "1" } }),
    ] {
        let order: Order = serde_json::from_value(order).unwrap();
        assert_eq!(refused(ask(AGENT, &order), &["no rule"]), "no-rule", "{order:?}");
    }
    let foreign = world.call_as::<ListWallets>(AGENT + 1, &Nothing {});
    assert_eq!(refused(foreign, &[]), "peer-not-allowed");

    // Killed, and under another policy, and under the first one again: what was spent stays spent.
    world.kill();
    world.start();
    assert_eq!(refused(world.sign(AGENT, "payments", &transfer(SHOP, "0.04", 2)), &["0.01916"]), "limit-reached");
    let mut larger = policy();
    larger["limits"][0]["amount"] = json!("0.13");
    world.activate(&[("payments", ethereum())], &[("agent", larger)]);
    world.sign(AGENT, "payments", &transfer(SHOP, "0.04", 2)).unwrap();
    world.put_in_force(&first);
    assert_eq!(refused(world.sign(AGENT, "payments", &transfer(SHOP, "0.001", 3)), &["lets 0 more"]), "limit-reached");
}

#[test]
fn an_explanation_signs_nothing_and_an_approval_is_somebody_elses() {
    root!();
    let world = World::new();
    world.activate(&[("payments", ethereum())], &[("agent", policy())]);
    world.wallet("payments");
    let order = transfer(SHOP, "0.05", 0);
    let request = SignRequest { wallet: "payments".parse().unwrap(), order: order.clone() };
    let explain = || world.call_as::<Explain>(AGENT, &request).unwrap();
    let told = explain();
    assert_eq!((told.verdict.as_str(), told.limits[0].left.as_str()), ("needs-approval", "0.1"));
    assert_eq!((told.limits[0].wanted.as_str(), told.parts.len()), ("0.05042", 1));
    assert_eq!(told.parts[0].rule.as_ref().unwrap().as_str(), "suppliers");
    assert_eq!(explain(), told, "nothing was counted");

    assert_eq!(refused(world.sign(AGENT, "payments", &order), &[&told.payload, "approvalAbove"]), "needs-approval");
    let approve = ApproveRequest {
        wallet: "payments".parse().unwrap(),
        payload: told.payload,
        ttl_secs: None,
        purpose: Purpose::Sign,
    };
    assert_eq!(refused(world.call_as::<Approve>(AGENT, &approve), &["approvers"]), "no-approver");
    world.call::<Approve>(&approve).unwrap();
    let other = transfer(SHOP, "0.05", 1);
    assert_eq!(refused(world.sign(AGENT, "payments", &other), &[]), "needs-approval");
    assert!(!world.sign(AGENT, "payments", &order).unwrap().again);
    let kinds: Vec<String> =
        world.call::<ListReceipts>(&ReceiptsRequest::default()).unwrap().receipts.into_iter().map(|r| r.kind).collect();
    assert_eq!(kinds, ["wallet.created", "wallet.approved", "wallet.signed"]);
    let late = ReceiptsRequest { after: Some(2), limit: Some(1), wait_secs: Some(1) };
    let receipt = world.call::<ListReceipts>(&late).unwrap().receipts.remove(0);
    assert_eq!((receipt.payload["by"].as_u64(), &receipt.payload["policy"]), (Some(AGENT.into()), &json!("agent")));
    assert_eq!(receipt.payload["parts"][0]["rule"], "suppliers");
}

#[test]
fn what_is_not_in_force_signs_nothing_and_keeps_its_key() {
    root!();
    let world = World::new();
    let order = transfer(SHOP, "0.001", 0);
    assert_eq!(refused(world.sign(AGENT, "payments", &order), &["no generation"]), "policies-unreadable");
    let all = world.activate(&[("payments", ethereum())], &[("agent", policy())]);
    let address = world.wallet("payments").address.unwrap();
    world.activate(&[("payments", ethereum())], &[]);
    assert_eq!(refused(world.sign(AGENT, "payments", &order), &["payments"]), "no-policy");
    world.activate(&[], &[("agent", policy())]);
    assert_eq!(refused(world.sign(AGENT, "payments", &order), &["Wallet/payments"]), "no-such-wallet");
    let wallet = world.wallet("payments");
    assert_eq!((wallet.declared, wallet.address.as_ref()), (false, Some(&address)));

    // A policy that cannot be read lets nothing pass, of any wallet.
    let broken =
        world.activate(&[("payments", ethereum())], &[("agent", policy()), ("other", json!({ "wallets": [] }))]);
    fs::write(broken.join("etc/keyd/policies/other.json"), "{").unwrap();
    assert_eq!(refused(world.sign(AGENT, "payments", &order), &["other.json"]), "policies-unreadable");
    world.put_in_force(&all);
    world.sign(AGENT, "payments", &order).unwrap();

    // Destroyed it is only when nothing declares it, and somebody else has said so.
    let delete = |address: &str| {
        let request = DeleteWalletRequest { wallet: "payments".parse().unwrap(), address: address.to_owned() };
        world.call_as::<DeleteWallet>(AGENT, &request)
    };
    assert_eq!(refused(delete(&address), &["in force"]), "wallet-declared");
    world.activate(&[], &[]);
    assert_eq!(refused(delete(SHOP), &[&address]), "other-key");
    let problem = delete(&address).unwrap_err();
    assert_eq!(problem.code, "needs-approval");
    // While a generation cannot be read nobody knows what it declares.
    let hint = problem.hint.unwrap();
    world.put_in_force(&broken);
    assert_eq!(refused(delete(&address), &["other.json"]), "policies-unreadable");
    let list = world.call::<ListWallets>(&Nothing {}).unwrap();
    assert!(list.closed.is_some_and(|why| why.contains("other.json")));
    world.activate(&[], &[]);
    let payload = hint.split([' ', '`']).find(|word| word.starts_with("0x")).unwrap().to_owned();
    let approve =
        ApproveRequest { wallet: "payments".parse().unwrap(), payload, ttl_secs: Some(60), purpose: Purpose::Sign };
    world.call::<Approve>(&approve).unwrap();
    assert_eq!(refused(delete(&address), &[]), "needs-approval", "that was for a signature");
    world.call::<Approve>(&ApproveRequest { purpose: Purpose::Destroy, ..approve }).unwrap();
    assert_eq!(delete(&address).unwrap().address, address);
    assert!(world.call::<ListWallets>(&Nothing {}).unwrap().wallets.is_empty());
    assert!(!world.at("state/vault/keys/payments.key").exists());
}

#[test]
fn a_key_leaves_when_its_policy_and_somebody_else_say_so() {
    root!();
    let world = World::new();
    let wallets = [("payments", ethereum()), ("savings", json!({ "chain": "solana" }))];
    let closed = json!({ "wallets": ["*"], "approvers": [AGENT.to_string()] });
    world.activate(&wallets, &[("agent", closed.clone())]);
    let known = ["payments", "savings"].map(|name| (name, world.wallet(name).address.unwrap()));
    let request = |(name, address): &(&str, String)| ExportWalletRequest {
        wallet: name.parse().unwrap(),
        address: address.clone(),
    };
    let export = |of: &(&str, String)| world.call::<ExportWallet>(&request(of));
    assert_eq!(refused(export(&known[0]), &["`agent`", "exportable"]), "not-exportable");
    let mut open = closed.clone();
    open["exportable"] = json!(true);
    world.activate(&wallets, &[("agent", open)]);
    let asked = world.call_as::<ExportWallet>(AGENT, &request(&known[0]));
    assert_eq!(refused(asked, &[]), "peer-not-allowed", "a key goes to root alone");
    assert_eq!(refused(export(&("payments", known[1].1.clone())), &[&known[0].1]), "other-key");
    let elsewhere = World::new();
    for (of, chain) in known.iter().zip(["ethereum", "solana"]) {
        let problem = export(of).unwrap_err();
        assert_eq!(problem.code, "needs-approval");
        let hint = problem.hint.unwrap();
        let payload = hint.split([' ', '`']).find(|word| word.starts_with("0x")).unwrap().to_owned();
        let approve =
            ApproveRequest { wallet: of.0.parse().unwrap(), payload, ttl_secs: Some(60), purpose: Purpose::Export };
        world.call::<Approve>(&approve).unwrap();
        assert_eq!(refused(export(of), &[]), "needs-approval", "nobody approves what they ask for");
        world.call_as::<Approve>(AGENT, &ApproveRequest { purpose: Purpose::Destroy, ..approve.clone() }).unwrap();
        assert_eq!(refused(export(of), &[]), "needs-approval", "that was for its end");
        world.call_as::<Approve>(AGENT, &approve).unwrap();
        let exported = export(of).unwrap();
        assert!(!format!("{exported:?}").contains(&exported.secret));
        assert_eq!(refused(export(of), &[]), "needs-approval", "it holds once");
        let import = json!({ "wallet": of.0, "chain": chain, "secret": exported.secret });
        let import = serde_json::from_value::<ImportWalletRequest>(import).unwrap();
        assert_eq!(elsewhere.call::<ImportWallet>(&import).unwrap().address.as_ref(), Some(&of.1));
    }
    // What is approved under a policy that has gone does not leave under the next one.
    world.activate(&wallets, &[("agent", closed)]);
    assert_eq!(refused(export(&known[0]), &[]), "not-exportable");
    let receipts = world.call::<ListReceipts>(&ReceiptsRequest::default()).unwrap().receipts;
    let left: Vec<_> = receipts.iter().filter(|receipt| receipt.kind == "wallet.exported").collect();
    let of: Vec<_> = left.iter().map(|receipt| receipt.payload["address"].as_str().unwrap()).collect();
    assert_eq!(of, [&known[0].1, &known[1].1]);
}

#[test]
fn another_passphrase_takes_the_place_of_the_one_before() {
    root!();
    let mut world = World::new();
    let create = CreateWalletRequest { wallet: "payments".parse().unwrap(), chain: WrittenChain::Ethereum };
    let address = world.call::<CreateWallet>(&create).unwrap().address;
    let (now, then) = (world.at("secret/passphrase"), world.at("secret/then"));
    fs::write(&then, "another horse, another battery\n").unwrap();
    fs::set_permissions(&then, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(!world.rotate("secret/then"), "while the daemon has the vault open");
    world.kill();
    assert!(!world.rotate("secret/none"));
    assert!(world.rotate("secret/then") && world.rotate("secret/then"), "done is done");
    assert!(world.start_refused().contains("passphrase"));
    fs::rename(then, now).unwrap();
    world.start();
    assert_eq!(world.wallet("payments").address, address);
}

#[test]
fn a_wallet_that_goes_leaves_what_it_has_spent_behind() {
    root!();
    let world = World::new();
    let rules = policy()["rules"].clone();
    let all = |name: &str, wallets: &[&str]| {
        let mut policy = policy();
        policy["wallets"] = json!(wallets);
        policy["rules"] = rules.clone();
        (name.to_owned(), policy)
    };
    let (one, two) = (("one", ethereum()), ("two", ethereum()));
    let star = all("star", &["*"]);
    world.activate(&[one.clone(), two.clone()], &[(&star.0, star.1.clone())]);
    let address = world.wallet("one").address.unwrap();
    world.wallet("two");
    world.sign(AGENT, "one", &transfer(SHOP, "0.04", 0)).unwrap();
    world.sign(AGENT, "one", &transfer(SHOP, "0.04", 1)).unwrap();
    let is_spent = |wallet: &str, nonce| {
        let over = world.sign(AGENT, wallet, &transfer(SHOP, "0.04", nonce));
        assert_eq!(refused(over, &["a-day", "0.01916"]), "limit-reached");
    };
    is_spent("two", 0);
    // Its document is gone; another policy has it now; it is named by its address.
    world.activate(std::slice::from_ref(&two), &[(&star.0, star.1.clone())]);
    is_spent("two", 1);
    let own = all("own", &["one"]);
    world.activate(&[one.clone(), two.clone()], &[(&star.0, star.1.clone()), (&own.0, own.1.clone())]);
    is_spent("two", 2);
    is_spent("one", 2);
    let address = all("address", &[&address]);
    world.activate(&[one.clone(), two], &[(&star.0, star.1), (&address.0, address.1.clone())]);
    is_spent("one", 3);
    // Two policies that name one wallet: nobody knows which was meant.
    world.activate(&[one], &[(&own.0, own.1), (&address.0, address.1)]);
    assert_eq!(
        refused(world.sign(AGENT, "one", &transfer(SHOP, "0.01", 4)), &["`address` and `own`"]),
        "wallet-governed"
    );
}

#[test]
fn keys_come_from_elsewhere_and_are_held_against_their_document() {
    root!();
    let mut world = World::new();
    let any = json!({ "wallets": ["*"], "rules": [{ "name": "words", "effect": "allow", "match": {
        "operations": ["message"] } }] });
    let words = "abandon ".repeat(11) + "about";
    let import = |world: &World, wallet: &str, chain: &str, secret: &str| {
        let request = json!({ "wallet": wallet, "chain": chain, "secret": secret });
        world.call::<ImportWallet>(&serde_json::from_value::<ImportWalletRequest>(request).unwrap())
    };
    // The known first address of these words (BIP-39's own test mnemonic).
    let known = "0x9858EfFD232B4033E47d90003D41EC34EcaEda94";
    assert_eq!(import(&world, "words", "ethereum", &words).unwrap().address.as_deref(), Some(known));
    let problem = import(&world, "more", "ethereum", &words.replace("about", "abandon")).unwrap_err();
    assert_eq!((problem.code.as_str(), problem.detail.contains("abandon")), ("invalid-secret", false));
    assert_eq!(refused(import(&world, "again", "ethereum", &words), &["words"]), "key-known");
    let numbers = json!({ "wallet": "more", "chain": "solana", "secret": 12345 });
    let typed = serde_json::from_value::<ImportWalletRequest>(numbers).unwrap_err().to_string();
    assert!(!typed.contains("12345"), "{typed}");

    // A signer in another process, whose wallet is known by its address.
    let vault = world.at("hsm");
    fs::create_dir(&vault).unwrap();
    fs::set_permissions(&vault, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let passphrase = Passphrase::new(b"another passphrase of it".to_vec().into()).unwrap();
    Vault::init(&vault, &passphrase, Cost::default()).unwrap();
    let vault = Arc::new(Vault::open(&vault, &passphrase, Duration::from_secs(60)).unwrap());
    let held = vault.import(&"held".parse().unwrap(), &Secret::from_bytes(Chain::Solana, &[5; 32]).unwrap()).unwrap();
    let socket = world.at("hsm.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        serve(&listener, &FileSigner::new(vault), 0, Duration::from_secs(10), &|error| println!("signer: {error}"))
    });
    let remote = |address: &str| json!({ "chain": "solana", "address": address, "signer": { "type": "socket", "path": socket, "uid": 0 } });
    let pinned = |address: &str| json!({ "chain": "ethereum", "address": address });
    let held = held.id.public.address();
    world.activate(&[("words", pinned(known)), ("held", remote(&held))], &[("any", any.clone())]);
    let message = Order::Message { text: "hello".to_owned() };
    world.sign(AGENT, "words", &message).unwrap();
    let signed = world.sign(AGENT, "held", &message).unwrap();
    let (signer, signature) =
        (held.parse::<solana::Address>().unwrap(), base58::decode_array(&signed.signature).unwrap());
    let text = solana::offchain::OffchainMessage::new([0; 32], vec![signer], "hello".to_owned()).unwrap();
    text.verify(&signer, &signature).unwrap();

    let other = solana::Address([9; 32]).to_string();
    world.activate(&[("words", pinned(SHOP)), ("held", remote(&other)), ("twice", pinned(known))], &[("any", any)]);
    assert_eq!(refused(world.sign(AGENT, "words", &message), &[known]), "other-key");
    assert_eq!(refused(world.sign(AGENT, "held", &message), &["no wallet held"]), "no-key");
    assert_eq!(refused(world.sign(AGENT, "twice", &message), &["import"]), "no-key");
    let create = CreateWalletRequest { wallet: "words".parse().unwrap(), chain: WrittenChain::Solana };
    assert_eq!(refused(world.call::<CreateWallet>(&create), &["nothing was changed"]), "wallet-exists");

    // A book that has gone is never replaced by an empty one, nor is a vault.
    world.kill();
    fs::rename(world.at("state/book.db"), world.at("book.db")).unwrap();
    let said = world.start_refused();
    assert!(said.contains("book.db is missing"), "{said}");
    fs::rename(world.at("book.db"), world.at("state/book.db")).unwrap();
    fs::rename(world.at("state/vault"), world.at("elsewhere")).unwrap();
    fs::create_dir(world.at("state/vault")).unwrap();
    fs::set_permissions(world.at("state/vault"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let said = world.start_refused();
    assert!(said.contains("there is no vault"), "{said}");
}
