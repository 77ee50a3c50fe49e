//! Small objects with large mistakes in their values; most of them are refused by the rules.

use std::path::Path;

use arbitrary::{Result, Unstructured};
use osmoda_schemas::{
    document::read,
    object::Object,
    rules::{Backend, check_object},
};
use serde_json::{Map, Value, json};

use crate::hostile;

const NAMES: &[&str] = &["a", "b", "c-1", "web"];
const KINDS: &[&str] = &["App", "McpServer", "Routine", "Wallet", "WalletPolicy", "Watcher"];
const PATHS: &[&str] = &["/", "/srv", "/srv/a%b", "/srv/$x", "/srv/ü", "/srv/\nInjected=1", "/srv/-x", "/srv/,x"];

/// Objects that their own rules let pass.
pub fn some(u: &mut Unstructured<'_>) -> Result<Vec<Object>> {
    let count = u.int_in_range(0..=5)?;
    let documents = (0..count).map(|_| document(u)).collect::<Result<Vec<Value>>>()?;
    let text = Value::Array(documents).to_string();
    let objects = read(Path::new("any.json"), text.as_bytes()).into_iter().filter_map(|document| document.result.ok());
    Ok(objects.filter(|object| check_object(object, Backend::Profile).is_empty()).collect())
}

fn document(u: &mut Unstructured<'_>) -> Result<Value> {
    let kind = *u.choose(KINDS)?;
    let mut spec = match kind {
        "App" => app(u)?,
        "McpServer" => json!({ "command": command(u)?, "transport": transport(u)? }),
        "Routine" => json!({ "trigger": trigger(u)?, "action": action(u)?, "after": references(u)? }),
        "Wallet" => json!({ "chain": u.choose(&["ethereum", "solana"])? }),
        "WalletPolicy" => {
            let effect = u.choose(&["allow", "deny", "requireApproval"])?;
            let conditions = if *effect == "allow" { json!({ "maxFee": "0.1" }) } else { json!({}) };
            let rule = json!({ "name": "a", "effect": effect, "match": conditions });
            json!({ "wallets": [u.choose(NAMES)?], "rules": [rule] })
        }
        _ => watcher(u)?,
    };
    if matches!(kind, "App" | "McpServer") || (kind == "Routine" && spec["action"]["type"] == "command") {
        program(u, spec.as_object_mut().unwrap())?;
    }
    sometimes(u, &mut spec, "description", hostile::text)?;
    let labels: Map<String, Value> = u.ratio(1, 4)?.then(|| pair(u)).transpose()?.into_iter().collect();
    let metadata = json!({ "name": u.choose(NAMES)?, "labels": labels });
    Ok(json!({ "apiVersion": "os.moda/v1", "kind": kind, "metadata": metadata, "spec": spec }))
}

fn sometimes<T: Into<Value>>(
    u: &mut Unstructured<'_>,
    spec: &mut Value,
    name: &str,
    value: impl FnOnce(&mut Unstructured<'_>) -> Result<T>,
) -> Result<()> {
    if u.ratio(1, 4)? {
        spec[name] = value(u)?.into();
    }
    Ok(())
}

fn pair(u: &mut Unstructured<'_>) -> Result<(String, Value)> {
    Ok((hostile::text(u)?, hostile::text(u)?.into()))
}

fn command(u: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let mut words = vec![(*u.choose(&["/bin/true", "/bin/a b", "/bin/ü", "/bin/%x", "bin/x", "/bin/;"])?).to_owned()];
    for _ in 0..u.int_in_range(0..=3)? {
        words.push(hostile::text(u)?);
    }
    Ok(words)
}

fn references(u: &mut Unstructured<'_>) -> Result<Vec<String>> {
    let mut list = Vec::new();
    for _ in 0..u.int_in_range(0..=2)? {
        list.push(format!("{}/{}", u.choose(KINDS)?, u.choose(NAMES)?));
    }
    Ok(list)
}

fn app(u: &mut Unstructured<'_>) -> Result<Value> {
    let mut spec = json!({ "command": command(u)? });
    sometimes(u, &mut spec, "after", references)?;
    sometimes(u, &mut spec, "requires", references)?;
    sometimes(u, &mut spec, "stateDirectory", |u| u.arbitrary::<bool>())?;
    sometimes(u, &mut spec, "enabled", |u| u.arbitrary::<bool>())?;
    sometimes(u, &mut spec, "startup", |u| Ok(*u.choose(&["exec", "notify", "forking", "oneshot"])?))?;
    sometimes(u, &mut spec, "update", |u| Ok(*u.choose(&["stopStart", "restart", "reload", "never"])?))?;
    sometimes(u, &mut spec, "reload", |u| Ok(json!(["/bin/kill", "$MAINPID", hostile::text(u)?])))?;
    sometimes(u, &mut spec, "restart", |u| Ok(json!({ "policy": u.choose(&["always", "onFailure", "never"])? })))?;
    sometimes(u, &mut spec, "stop", |u| {
        Ok(json!({ "signal": u.choose(&["SIGINT", "SIGRTMIN+1", "SIG\nInjected=1"])? }))
    })?;
    sometimes(u, &mut spec, "workingDirectory", |u| Ok(*u.choose(PATHS)?))?;
    sometimes(u, &mut spec, "package", |u| {
        Ok(*u.choose(&["/nix/store/00000000000000000000000000000000-x", "pkgs.x", "/nix/store/x\nInjected=1"])?)
    })?;
    sometimes(u, &mut spec, "ports", |u| {
        let port = json!({ "port": u.int_in_range(1..=4)?, "protocol": u.choose(&["tcp", "udp"])? });
        let name = *u.choose(&["http", "a b"])?;
        Ok(json!({ name: port }))
    })?;
    sometimes(u, &mut spec, "files", |u| {
        let name = *u.choose(&["a", "a/b", "ü", "x\nInjected=1", "-", "a b"])?;
        Ok(json!({ name: { "content": hostile::text(u)?, "executable": u.arbitrary::<bool>()? } }))
    })?;
    sometimes(u, &mut spec, "health", |u| {
        let probe = match u.int_in_range(0..=2)? {
            0 => json!({ "type": "unit" }),
            1 => json!({ "type": "tcp", "port": 1 }),
            _ => json!({ "type": "command", "command": command(u)? }),
        };
        Ok(json!([{ "name": hostile::text(u)?, "probe": probe }]))
    })?;
    Ok(spec)
}

/// What apps, MCP servers and commands of routines have in common.
fn program(u: &mut Unstructured<'_>, spec: &mut Map<String, Value>) -> Result<()> {
    let mut more = json!({});
    sometimes(u, &mut more, "tier", |u| u.int_in_range(0..=2_u8))?;
    sometimes(u, &mut more, "environment", |u| {
        let name = *u.choose(&["A", "B_1", "PORT", "a b", "X\nInjected"])?;
        Ok(json!({ name: hostile::text(u)? }))
    })?;
    sometimes(u, &mut more, "secrets", |u| {
        let name = *u.choose(&["db", "a:b", "x\nInjected=1", ".x"])?;
        let path = *u.choose(PATHS)?;
        Ok(json!({ name: if u.arbitrary()? { json!({ "file": path }) } else { json!({ "credential": path }) } }))
    })?;
    sometimes(u, &mut more, "user", |u| Ok(json!({ "name": u.choose(&["nobody", "a%b", "x\nInjected=1"])? })))?;
    sometimes(u, &mut more, "resources", |u| {
        Ok(json!({ "memory": "64Mi", "cpu": "0.5", "tasks": u.arbitrary::<u32>()? }))
    })?;
    sometimes(u, &mut more, "access", |u| {
        let mut access = json!({});
        sometimes(u, &mut access, "network", |u| Ok(*u.choose(&["none", "local", "host"])?))?;
        sometimes(u, &mut access, "allowedDomains", |u| {
            Ok(json!([u.choose(&["a.example", "*", "x\nInjected=1"])?]))
        })?;
        for field in ["read", "write", "devices"] {
            sometimes(u, &mut access, field, |u| Ok(json!([u.choose(PATHS)?])))?;
        }
        sometimes(u, &mut access, "capabilities", |u| {
            Ok(json!([u.choose(&["CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN", "CAP_\nInjected=1"])?]))
        })?;
        Ok(access)
    })?;
    spec.extend(std::mem::take(more.as_object_mut().unwrap()));
    Ok(())
}

fn transport(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match u.arbitrary()? {
        true => json!({ "type": "stdio" }),
        false => json!({ "type": "http", "port": u.int_in_range(1..=4)?, "path": "/mcp" }),
    })
}

fn trigger(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match u.int_in_range(0..=3)? {
        0 => json!({
            "type": "cron",
            "schedule": u.choose(&["*/5 * * * *", "0 0 13 * fri", "@daily", "0 0 * * *\nInjected=1"])?,
            "timeZone": u.choose(&["UTC", "Europe/Berlin", "UTC\nInjected=1"])?,
        }),
        1 => json!({ "type": "interval", "every": "5m" }),
        2 => json!({ "type": "event", "types": [hostile::text(u)?] }),
        _ => json!({ "type": "webhook" }),
    })
}

fn action(u: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match u.int_in_range(0..=3)? {
        0 => json!({ "type": "serviceMonitor", "ignore": [hostile::text(u)?] }),
        1 => json!({ "type": "webhook", "url": "http://127.0.0.1/x", "headers": { "a": hostile::text(u)? } }),
        _ => json!({ "type": "command", "command": command(u)? }),
    })
}

fn watcher(u: &mut Unstructured<'_>) -> Result<Value> {
    let check = match u.int_in_range(0..=3)? {
        0 => json!({ "type": "unit" }),
        1 => json!({ "type": "disk", "path": u.choose(PATHS)? }),
        2 => json!({ "type": "command", "command": command(u)? }),
        _ => json!({ "type": "memory" }),
    };
    let mut spec = json!({ "check": check, "ladder": [{ "action": u.choose(&["restart", "notify", "rollback"])? }] });
    sometimes(u, &mut spec, "target", |u| Ok(format!("{}/{}", u.choose(KINDS)?, u.choose(NAMES)?)))?;
    Ok(spec)
}
