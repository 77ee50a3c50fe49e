//! What osmoda-keyd answers.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use osmoda_chains::derive::Path;
use osmoda_ipc::{Call, Metrics, Peers, Service, aside};
use osmoda_schemas::{
    operation::{Nothing, Op},
    ops::keyd::{
        Approve, BuildTransaction, CreateWallet, DeleteWallet, Deleted, Explain, ExportWallet, ImportWallet,
        ImportWalletRequest, ListReceipts, ListWallets, Order, Receipt, Receipts, ReceiptsRequest, Send, Sign,
    },
    problem::Problem,
};
use osmoda_wallet_policy::chain_of;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use super::keyd::{Keyd, spend_problem};
use crate::vault::Secret;

/// Most receipts of one answer, and the longest that one is waited for, in seconds.
const RECEIPTS: (u32, u32) = (1000, 20);
/// How often it is looked whether there is a new receipt.
const LOOK: Duration = Duration::from_millis(200);

type State = Arc<Keyd>;

/// osmoda-keyd's service.
pub(super) fn service(keyd: State, peers: Peers, metrics: Metrics) -> Service<State> {
    let service = Service::new("keyd", keyd, peers, metrics);
    let service = on::<CreateWallet>(service, |keyd, call, request| {
        keyd.create(&request.wallet, chain_of(request.chain), json!(call.peer.uid))
    });
    let service = on::<ImportWallet>(service, import);
    let service = on::<ListWallets>(service, |keyd, _, Nothing {}| Ok(keyd.list()));
    let service = on::<Sign>(service, |keyd, call, request| keyd.sign(&request.wallet, &request.order, call.peer.uid));
    let service = on::<Send>(service, |keyd, call, request| {
        keyd.sign(&request.wallet, &Order::Transfer(request.transfer), call.peer.uid)
    });
    let service = on::<BuildTransaction>(service, |keyd, call, request| {
        keyd.sign(&request.wallet, &Order::Build(request.transaction), call.peer.uid)
    });
    let service =
        on::<Explain>(service, |keyd, call, request| keyd.explain(&request.wallet, &request.order, call.peer.uid));
    let service = on::<Approve>(service, |keyd, call, request| keyd.approve(&request, call.peer.uid));
    let service = on::<DeleteWallet>(service, |keyd, call, request| {
        let address = keyd.destroy(&request.wallet, &request.address, call.peer.uid)?;
        Ok(Deleted { wallet: request.wallet, address })
    });
    let service = on::<ExportWallet>(service, |keyd, call, request| {
        keyd.export(&request.wallet, &request.address, call.peer.uid)
    });
    service.handle::<ListReceipts, _, _>(|keyd, _, request| receipts(keyd, request))
}

/// Calls of one user that are at work at a time: others wait, and hold nothing but their request.
const TURNS: usize = 4;

/// A turn of a user. It goes along to the thread: whoever hangs up early has it until the work is done.
async fn turn(keyd: &Keyd, uid: u32) -> Option<OwnedSemaphorePermit> {
    let turns = {
        let mut users = keyd.turns.lock().unwrap_or_else(PoisonError::into_inner);
        users.retain(|_, turns| Arc::strong_count(turns) > 1);
        Arc::clone(users.entry(uid).or_insert_with(|| Arc::new(Semaphore::new(TURNS))))
    };
    turns.acquire_owned().await.ok()
}

/// Answers where nobody else waits: keys are opened and books are written.
fn on<O: Op>(
    service: Service<State>,
    answer: impl Fn(&Keyd, Call, O::Request) -> Result<O::Response, Problem> + Copy + std::marker::Send + Sync + 'static,
) -> Service<State> {
    service.handle::<O, _, _>(move |keyd: State, call, request| async move {
        let turn = turn(&keyd, call.peer.uid).await;
        let work = move || {
            let done = answer(&keyd, call, request);
            drop(turn);
            done
        };
        aside(work).await
    })
}

fn import(
    keyd: &Keyd,
    call: Call,
    request: ImportWalletRequest,
) -> Result<osmoda_schemas::ops::keyd::WalletView, Problem> {
    let wrong = |field, error: &dyn std::fmt::Display| {
        Problem::new(422, "invalid-secret", error.to_string()).field(field).hint("the secret itself is never told")
    };
    let (secret, passphrase) = (Zeroizing::new(request.secret), Zeroizing::new(request.passphrase));
    let chain = chain_of(request.chain);
    let path = request.path.as_deref().map(str::parse::<Path>).transpose();
    let path = path.map_err(|_| wrong("path", &"it is no path such as m/44'/60'/0'/0/0"))?;
    // Words have spaces between them; so may a list of numbers.
    let secret = if secret.split_whitespace().nth(1).is_some() && !secret.trim_start().starts_with('[') {
        Secret::from_mnemonic(chain, &secret, &passphrase, path)
    } else if path.is_some() || !passphrase.is_empty() {
        return Err(wrong("path", &"only a mnemonic has a path and a passphrase"));
    } else {
        Secret::from_text(chain, secret.trim())
    };
    let secret = secret.map_err(|error| wrong("secret", &error))?;
    keyd.import(&request.wallet, &secret, json!(call.peer.uid))
}

async fn receipts(keyd: State, request: ReceiptsRequest) -> Result<Receipts, Problem> {
    let after = request.after.unwrap_or_default().max(0);
    let most = request.limit.unwrap_or(RECEIPTS.0).min(RECEIPTS.0);
    let until =
        tokio::time::Instant::now() + Duration::from_secs(request.wait_secs.unwrap_or(0).min(RECEIPTS.1).into());
    loop {
        let keyd = Arc::clone(&keyd);
        let work = move || keyd.book.events(after - 1, most + 1).map_err(|error| spend_problem(&error));
        let (mut events, last) = aside(work).await?;
        let mut later = events.split_off(events.partition_point(|event| event.id <= after));
        later.truncate(most as usize);
        let (before, events) = (events, later);
        if !events.is_empty() || last < after || tokio::time::Instant::now() >= until {
            let receipt = |event: crate::spending::Event| Receipt {
                id: event.id,
                at: event.at,
                kind: event.kind,
                reservation: event.reservation,
                payload: serde_json::from_str(&event.payload).unwrap_or_default(),
            };
            let before = before.into_iter().map(receipt).next();
            return Ok(Receipts { receipts: events.into_iter().map(receipt).collect(), before, last });
        }
        tokio::time::sleep(LOOK).await;
    }
}
