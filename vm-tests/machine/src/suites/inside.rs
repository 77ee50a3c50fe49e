//! Looking around from inside a unit: an app whose program writes down what it can do and see.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::quick;
use crate::Host;

/// Words that the programs are written in.
const PRELUDE: &str = include_str!("inside.py");
/// The app's unit.
pub const UNIT: &str = "osmoda-app-inside.service";

/// What a program saw, by the names of its questions.
#[derive(Debug)]
pub struct Seen(BTreeMap<String, String>);

impl Seen {
    /// The answer to a question.
    pub fn answer(&self, name: &str) -> Result<&str> {
        self.0.get(name).map(String::as_str).with_context(|| format!("`{name}` was not asked: {:?}", self.0))
    }

    /// What a question that went well was answered with.
    pub fn value(&self, name: &str) -> Result<&str> {
        let answer = self.answer(name)?;
        answer.strip_prefix("yes: ").with_context(|| format!("{name}: {answer}"))
    }

    /// All of these went well.
    pub fn could(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let answer = self.answer(name)?;
            ensure!(answer.starts_with("yes"), "{name}: {answer}");
        }
        Ok(())
    }

    /// Everything whose name begins so was refused; nothing of that name is an error, too.
    pub fn could_not(&self, prefix: &str) -> Result<()> {
        let mut asked = self.0.iter().filter(|(name, _)| name.starts_with(prefix)).peekable();
        ensure!(asked.peek().is_some(), "`{prefix}` was not asked: {:?}", self.0);
        let done: Vec<String> = asked.filter(|(_, a)| !a.starts_with("no")).map(|(n, a)| format!("{n}: {a}")).collect();
        if done.is_empty() { Ok(()) } else { bail!("the sandbox allows {}", done.join("; ")) }
    }
}

/// Runs questions in an app with these further fields of its spec, to their end.
pub fn look(host: Host<'_>, fields: Value, questions: &str) -> Result<Seen> {
    let mut document = json!({
        "apiVersion": "os.moda/v1",
        "kind": "App",
        "metadata": { "name": "inside" },
        "spec": {
            "command": ["/usr/bin/python3", "${files}/look.py", "${runtime}/seen"],
            "files": { "look.py": { "content": format!("{PRELUDE}{questions}") } },
            "startup": "oneshot",
            "restart": { "policy": "never" },
        },
    });
    for (name, value) in fields.as_object().context("the fields are an object")? {
        document["spec"][name] = value.clone();
    }
    let journal = || host.run(&["/usr/bin/journalctl", "-u", UNIT, "-n", "30", "--no-pager"]).unwrap_or_default();
    quick::apply(host, &[document]).with_context(journal)?;
    ensure!(host.active(UNIT)? == "active", "the program did not end well\n{}", journal());
    let text = host.run(&["/bin/cat", "/run/osmoda-app-inside/seen"])?;
    Ok(Seen(text.lines().filter_map(|line| line.split_once('=')).map(|(n, a)| (n.into(), a.into())).collect()))
}
