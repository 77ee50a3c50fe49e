//! A wallet of an agent, for the story and for the suite: what it may sign, and asking for it as the agent.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Host, wait};

/// Both addresses that the agent may send to, and one that it may not.
pub const SHOP: &str = "0x00000000000000000000000000000000000000aa";
/// See [`SHOP`].
pub const HOST: &str = "0x00000000000000000000000000000000000000bb";
/// See [`SHOP`].
pub const THIEF: &str = "0x00000000000000000000000000000000000000cc";
/// The agent is an author that is told apart by its uid.
pub const CONFIG: &str = "authors:\n- user: 4711\n  kinds: [App]\nsafeSwitch: {ttl: 300ms}\n";
/// A wallet, and 0.1 ETH a day to two addresses.
pub const DOCUMENTS: &str = include_str!("../documents/wallet.yaml");

/// Gives keyd a passphrase, and starts it.
pub fn start(host: Host<'_>) -> Result<()> {
    host.sh("getent group osmoda > /dev/null || groupadd --system osmoda; umask 077; mkdir -p /etc/osmoda-keyd; \
         head -c 24 /dev/urandom | base64 > /etc/osmoda-keyd/passphrase; \
         systemctl start osmoda-keyd.socket osmoda-keyd.service")?;
    Ok(())
}

/// Leaves nothing of keyd behind, and no key.
pub fn stop(host: Host<'_>) -> Result<()> {
    host.sh("systemctl stop osmoda-keyd.socket osmoda-keyd.service; groupdel osmoda; rm -rf /etc/osmoda-keyd \
         /var/lib/private/osmoda-keyd /var/lib/osmoda-keyd /var/lib/osmoda/keyd-receipts")?;
    Ok(())
}

/// Waits until the only wallet has a key; gives its address.
pub fn address(host: Host<'_>) -> Result<String> {
    let mut address = None;
    wait("a key", Duration::from_secs(30), || {
        let list = host.json(&["wallet", "list"])?;
        address = list["wallets"][0]["address"].as_str().map(str::to_owned);
        Ok(address.is_some())
    })?;
    address.context("no key")
}

/// What the agent gets of `osmoda wallet`: the exit status, and the answer or the problem.
pub fn as_agent(host: Host<'_>, words: &str) -> Result<(i32, Value)> {
    let command = format!("setpriv --reuid=4711 --regid=65534 --groups=osmoda -- osmoda -o json wallet {words} 2>&1");
    let (status, out, _) = host.end(&["/bin/sh", "-c", &command])?;
    let answer = serde_json::from_str(&out).with_context(|| format!("{words}: {out}"))?;
    Ok((status, answer))
}

/// What comes of it when the agent sends so much; the fee is at most 0.00042.
pub fn send(host: Host<'_>, to: &str, amount: &str, nonce: u32) -> Result<(i32, Value)> {
    let gas = "--chain-id 1 --max-fee 20000000000 --priority-fee 1000000000";
    as_agent(host, &format!("send payments --to {to} --amount {amount} --nonce {nonce} {gas}"))
}

/// That it was refused, with this in the reason, which it gives.
pub fn refused(answer: &(i32, Value), code: &str, why: &str) -> Result<String> {
    let (status, problem) = answer;
    let detail = problem["detail"].as_str().unwrap_or_default();
    ensure!(*status == 2 && problem["code"] == code && detail.contains(why), "not {code}, {why}: {problem:#}");
    Ok(detail.to_owned())
}
