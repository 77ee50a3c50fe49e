//! `wallet`: keys that keyd keeps, and what they sign.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use osmoda_schemas::{
    name::Name,
    operation::Nothing,
    ops::keyd::{
        self, Approve, ApproveRequest, CreateWallet, CreateWalletRequest, DeleteWallet, DeleteWalletRequest, Explain,
        Explanation, ExportWallet, ExportWalletRequest, Gas, ImportWallet, ImportWalletRequest, ListReceipts,
        ListWallets, Order, Purpose, ReceiptsRequest, Sign, SignRequest, WalletView,
    },
    problem::Problem,
};
use serde_json::json;

use crate::{
    args::wallet::{Transfer, WalletCommand, What},
    context::{Context, Failure},
    print::{Cell, Printer, Tone},
};

/// The largest file that is read, in bytes.
const MOST: u64 = 512 * 1024;

/// Does what is asked of wallets.
pub async fn wallet(context: &Context, command: WalletCommand) -> Result<u8, Failure> {
    match command {
        WalletCommand::List => list(context).await,
        WalletCommand::Create { wallet, chain } => {
            let request = CreateWalletRequest { wallet, chain: chain.into() };
            made(context, &context.keyd().call::<CreateWallet>(&request).await?)
        }
        WalletCommand::Import { wallet, chain, file, passphrase_file, path } => {
            let secret = read(file.as_deref().unwrap_or(Path::new("-")))?;
            let passphrase = passphrase_file.map(|file| read(&file)).transpose()?;
            let passphrase = passphrase.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()).unwrap_or_default();
            let request = ImportWalletRequest { wallet, chain: chain.into(), secret, passphrase, path };
            made(context, &context.keyd().call::<ImportWallet>(&request).await?)
        }
        WalletCommand::Sign { wallet, what, explain } => order(context, wallet, order_of(what)?, explain).await,
        WalletCommand::Send { wallet, transfer, explain } => {
            order(context, wallet, Order::Transfer(transfer_of(*transfer)), explain).await
        }
        WalletCommand::Explain { wallet, what } => order(context, wallet, order_of(what)?, true).await,
        WalletCommand::Approve { wallet, payload, destroy, export, ttl } => {
            let (purpose, what) = match (destroy, export) {
                (true, _) => (Purpose::Destroy, "its end"),
                (_, true) => (Purpose::Export, "giving out its key"),
                _ => (Purpose::Sign, "a signature"),
            };
            let request = ApproveRequest { wallet, payload, purpose, ttl_secs: Some(ttl) };
            let approval = context.keyd().call::<Approve>(&request).await?;
            context.printer.print(&approval, |_| format!("approved, {what}, once, until {}\n", approval.until))?;
            Ok(0)
        }
        WalletCommand::Delete { wallet, address } => {
            let gone = context.keyd().call::<DeleteWallet>(&DeleteWalletRequest { wallet, address }).await?;
            context
                .printer
                .print(&gone, |_| format!("{} is gone: nobody signs for {}\n", gone.wallet, gone.address))?;
            Ok(0)
        }
        WalletCommand::Export { wallet, address, file } => {
            // Before an approval is used up.
            let mut kept =
                fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(|e| {
                    let problem = Problem::new(400, "unwritable-file", format!("{}: {e}", file.display()));
                    problem.hint("name a file that is not there yet, in a folder that is")
                })?;
            let remove = || drop(fs::remove_file(&file));
            let request = ExportWalletRequest { wallet, address };
            let exported = context.keyd().call::<ExportWallet>(&request).await.inspect_err(|_| remove())?;
            let written = writeln!(kept, "{}", exported.secret).and_then(|()| kept.sync_all());
            let name = file.display().to_string();
            written.map_err(|e| {
                remove();
                Problem::new(500, "unwritable-file", format!("{name}: {e}"))
            })?;
            let told = json!({ "wallet": exported.wallet, "address": exported.address, "file": name });
            context.printer.print(&told, |_| format!("the key of {} is in {name}\n", exported.wallet))?;
            Ok(0)
        }
        WalletCommand::Receipts { after } => receipts(context, after).await,
    }
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let list = context.keyd().call::<ListWallets>(&Nothing {}).await?;
    context.printer.print(&list, |printer| {
        let row = |wallet: &WalletView| -> Vec<Cell> {
            let state = match (&wallet.fault, wallet.declared, &wallet.policy) {
                (Some(fault), ..) => Cell::toned(fault.as_str(), Tone::Bad),
                (None, false, _) => Cell::toned("not declared", Tone::Warning),
                (None, true, None) => Cell::toned("no policy", Tone::Warning),
                (None, true, Some(_)) => Cell::toned("ready", Tone::Good),
            };
            vec![
                wallet.name.to_string().into(),
                wallet.chain.as_str().into(),
                wallet.address.as_deref().unwrap_or_default().into(),
                wallet.policy.as_ref().map(ToString::to_string).unwrap_or_default().into(),
                wallet.origin.as_str().into(),
                state,
            ]
        };
        let rows: Vec<Vec<Cell>> = list.wallets.iter().map(row).collect();
        let mut text = printer.table(&["NAME", "CHAIN", "ADDRESS", "POLICY", "KEY", ""], &rows);
        for said in list.closed.iter().chain(&list.unprotected) {
            let _ = writeln!(text, "{}", printer.paint(said, Tone::Warning));
        }
        text
    })?;
    Ok(0)
}

/// A new wallet, with the document that it needs.
fn made(context: &Context, wallet: &WalletView) -> Result<u8, Failure> {
    context.printer.print(wallet, |_| {
        let address = wallet.address.as_deref().unwrap_or_default();
        let mut text = format!("{} is {address}\n", wallet.name);
        if !wallet.declared {
            let _ = write!(
                text,
                "\nIt signs nothing until this is in force:\n\napiVersion: os.moda/v1\nkind: Wallet\nmetadata:\n  \
                 name: {}\nspec:\n  chain: {}\n  address: \"{address}\"\n",
                wallet.name,
                wallet.chain.as_str(),
            );
        }
        text
    })?;
    Ok(0)
}

/// Signs, or explains. Exit status of an explanation: 0 it would be signed, 1 it would not.
async fn order(context: &Context, wallet: Name, order: Order, explain: bool) -> Result<u8, Failure> {
    let request = SignRequest { wallet, order };
    if explain {
        let told = context.keyd().call::<Explain>(&request).await?;
        context.printer.print(&told, |printer| explained(printer, &told))?;
        return Ok(u8::from(told.verdict != "allow"));
    }
    let signed = context.keyd().call::<Sign>(&request).await?;
    context.printer.print(&signed, |_| {
        let mut text = String::new();
        let mut line = |name: &str, value: Option<&String>| {
            if let Some(value) = value {
                let _ = writeln!(text, "{name:<18}{value}");
            }
        };
        line("signature", Some(&signed.signature));
        line("signed hash", signed.signed_hash.as_ref());
        line("transaction hash", signed.transaction_hash.as_ref());
        line("transaction", signed.transaction.as_ref());
        line("fee, at most", signed.max_fee.as_ref());
        for signer in &signed.missing_signers {
            line("still to sign", Some(signer));
        }
        line("policy", Some(&signed.policy.to_string()));
        text
    })?;
    Ok(0)
}

fn explained(printer: &Printer, told: &Explanation) -> String {
    let tone = match told.verdict.as_str() {
        "allow" => Tone::Good,
        "refuse" => Tone::Bad,
        _ => Tone::Warning,
    };
    let why = told.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let mut text = format!("{}{why}\n", printer.paint(&told.verdict, tone));
    if let Some(hint) = &told.hint {
        let _ = writeln!(text, "hint: {hint}");
    }
    let _ = writeln!(text, "policy {} ({}), payload {}\n", told.policy.name, told.policy.hash, told.payload);
    for part in &told.parts {
        let rule = part.rule.as_ref().map_or_else(|| "no rule".to_owned(), |rule| format!("rule {rule}"));
        let effect = match part.effect {
            None => "refuses",
            Some(osmoda_schemas::kinds::wallet_policy::Effect::Allow) => "allows",
            Some(osmoda_schemas::kinds::wallet_policy::Effect::Deny) => "denies",
            Some(osmoda_schemas::kinds::wallet_policy::Effect::RequireApproval) => "wants an approval of",
        };
        let said = if part.rule.is_none() {
            format!("no rule allows {}", part.part)
        } else {
            format!("{rule} {effect} {}", part.part)
        };
        let _ = writeln!(text, "{said}");
        for passed in &part.passed {
            let _ = writeln!(text, "{}", printer.paint(&format!("  not {}: {}", passed.rule, passed.why), Tone::Dim));
        }
    }
    for limit in &told.limits {
        let signatures = limit.signatures.map(|left| format!(", {left} signatures")).unwrap_or_default();
        let _ =
            writeln!(text, "limit {}: {} of the {}{signatures} that are left", limit.limit, limit.wanted, limit.left);
    }
    text
}

async fn receipts(context: &Context, after: i64) -> Result<u8, Failure> {
    let request = ReceiptsRequest { after: Some(after), ..ReceiptsRequest::default() };
    let answer = context.keyd().call::<ListReceipts>(&request).await?;
    context.printer.print(&answer, |printer| {
        let rows: Vec<Vec<Cell>> = answer
            .receipts
            .iter()
            .map(|receipt| {
                vec![
                    receipt.id.to_string().into(),
                    receipt.at.strftime("%Y-%m-%d %H:%M:%S").to_string().into(),
                    receipt.kind.as_str().into(),
                    receipt.payload["wallet"].as_str().unwrap_or_default().into(),
                    Cell::toned(receipt.payload.to_string(), Tone::Dim),
                ]
            })
            .collect();
        printer.table(&["NUMBER", "TIME (UTC)", "TYPE", "WALLET", ""], &rows)
    })?;
    Ok(0)
}

fn order_of(what: What) -> Result<Order, Failure> {
    if let Some(text) = what.message {
        return Ok(Order::Message { text });
    }
    if let Some(bytes) = what.transaction {
        return Ok(Order::Transaction { bytes });
    }
    if let Some(file) = what.typed_data {
        return Ok(Order::TypedData { json: read(&file)? });
    }
    let file = what.order.unwrap_or_else(|| "-".into());
    let text = read(&file)?;
    serde_json::from_str(&text).map_err(|error| {
        let problem = Problem::new(422, "invalid-order", format!("{}: {error}", file.display()));
        problem.hint("such as {\"type\": \"message\", \"text\": \"I am here\"}; GET /openapi.json has all").into()
    })
}

fn transfer_of(transfer: Transfer) -> keyd::Transfer {
    let gas = transfer.chain_id.zip(transfer.nonce).map(|(chain_id, nonce)| Gas {
        chain_id,
        nonce,
        limit: transfer.gas_limit,
        price: transfer.gas_price,
        max_fee: transfer.max_fee,
        priority_fee: transfer.priority_fee,
    });
    keyd::Transfer {
        to: transfer.to,
        amount: transfer.amount,
        asset: Some(transfer.asset),
        gas,
        blockhash: transfer.blockhash,
        token_2022: transfer.token_2022,
        to_program: transfer.to_program,
    }
}

/// The text of a file, or of standard input.
fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let done = if file == Path::new("-") {
        io::stdin().lock().take(MOST + 1).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|opened| opened.take(MOST + 1).read_to_string(&mut text))
    };
    let done = match done {
        Ok(read) if read as u64 > MOST => Err(io::Error::other(format!("it is larger than {MOST} bytes"))),
        other => other,
    };
    done.map_err(|error| Problem::new(400, "unreadable-file", format!("{}: {error}", file.display())))?;
    Ok(text)
}
