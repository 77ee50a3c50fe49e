//! NixOS options of documents, checked against the operator's system before they are admitted: so that a wrong one has its
//! place and a hint, and keeps nobody else's change from being built.
//!
//! To evaluate a system takes seconds. Documents wait for that outside of the loop: the last admitted version stays in
//! force, and the file is looked at again when there is a verdict.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use osmoda_generation::nixos::{Finding, Nixos, NixosError, OptionsOf, Wrong};
use osmoda_runtime::WorkQueue;
use osmoda_schemas::{document::did_you_mean, object::ContentHash, rules::Violation};
use tokio::sync::watch;

use crate::reconcile::Key;

/// What a document is refused with until there is a verdict.
pub const CHECKING: &str = "checking-options";
/// A system that cannot be evaluated is tried again after this time.
const AGAIN: Duration = Duration::from_secs(60);
/// Most verdicts that are kept.
const VERDICTS: usize = 20_000;
/// Names of options that a hint lists.
const NAMES: usize = 8;

/// What is known of documents' options, and what is asked.
#[derive(Clone, Debug)]
pub struct OptionChecks {
    known: Arc<Mutex<Known>>,
    /// How many documents wait.
    waiting: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Known {
    verdicts: BTreeMap<ContentHash, Vec<Violation>>,
    asked: BTreeMap<ContentHash, Asked>,
    /// Files that have to be judged again.
    again: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug)]
struct Asked {
    options: OptionsOf,
    files: BTreeSet<PathBuf>,
}

impl Default for OptionChecks {
    fn default() -> Self {
        Self { known: Arc::default(), waiting: watch::Sender::new(0) }
    }
}

impl OptionChecks {
    /// What is wrong with these options; while that is being found out, only that it is.
    #[must_use]
    pub fn verdict(&self, hash: ContentHash, options: &OptionsOf, file: &Path) -> Vec<Violation> {
        let mut known = self.lock();
        if let Some(verdict) = known.verdicts.get(&hash) {
            return verdict.clone();
        }
        let new = || Asked { options: options.clone(), files: BTreeSet::new() };
        known.asked.entry(hash).or_insert_with(new).files.insert(file.to_owned());
        self.waiting.send_replace(known.asked.len());
        let detail = "its options are being checked against the system";
        vec![Violation::new(CHECKING, "spec.options", detail, "look again in a few seconds")]
    }

    /// These were in force already.
    pub fn admitted(&self, hashes: impl IntoIterator<Item = ContentHash>) {
        self.lock().verdicts.extend(hashes.into_iter().map(|hash| (hash, Vec::new())));
    }

    /// Files that have to be judged again.
    #[must_use]
    pub fn take_again(&self) -> BTreeSet<PathBuf> {
        std::mem::take(&mut self.lock().again)
    }

    /// Waits until nothing is being checked, at most so long.
    pub async fn settled(&self, at_most: Duration) {
        let mut waiting = self.waiting.subscribe();
        let _ = tokio::time::timeout(at_most, waiting.wait_for(|waiting| *waiting == 0)).await;
    }

    /// Checks what is asked, for ever; `folder` is one of agentd's own.
    pub async fn run(self, nixos: Nixos, folder: PathBuf, queue: WorkQueue<Key>) {
        let mut waiting = self.waiting.subscribe();
        loop {
            if waiting.wait_for(|waiting| *waiting > 0).await.is_err() {
                return;
            }
            let batch = self.lock().asked.clone();
            let documents: Vec<OptionsOf> = batch.values().map(|asked| asked.options.clone()).collect();
            match nixos.check(&documents, &folder).await {
                Err(_) if batch.len() > 1 => {
                    // One of them may be what Nix cannot bear: the others do not suffer for it.
                    for (hash, asked) in batch {
                        let answer = nixos.check(std::slice::from_ref(&asked.options), &folder).await;
                        self.conclude(BTreeMap::from([(hash, asked)]), &answer, &queue);
                    }
                }
                answer => self.conclude(batch, &answer, &queue),
            }
        }
    }

    /// Takes an answer in; where there is none, it is asked for again later.
    fn conclude(
        &self,
        batch: BTreeMap<ContentHash, Asked>,
        answer: &Result<Vec<Finding>, NixosError>,
        queue: &WorkQueue<Key>,
    ) {
        if let Err(error) = answer {
            tracing::warn!("the options of {} documents cannot be checked: {error}", batch.len());
            let (checks, queue) = (self.clone(), queue.clone());
            let batch = batch.clone();
            tokio::spawn(async move {
                tokio::time::sleep(AGAIN).await;
                checks.forget(&batch);
                queue.add(Key::Documents, "options are checked again", Duration::ZERO);
            });
        }
        self.decide(batch, answer);
        queue.add(Key::Documents, "options are checked", Duration::ZERO);
    }

    fn decide(&self, batch: BTreeMap<ContentHash, Asked>, answer: &Result<Vec<Finding>, NixosError>) {
        let mut known = self.lock();
        for (i, (hash, asked)) in batch.into_iter().enumerate() {
            let verdict = match answer {
                Ok(findings) => findings
                    .iter()
                    .filter(|finding| finding.document == i)
                    .map(|f| violation(&asked.options, f))
                    .collect(),
                Err(error) => vec![Violation::new(
                    "system-not-evaluable",
                    "spec.options",
                    format!("the system that they are options of cannot be evaluated: {error}"),
                    "mend the system's own configuration; it is tried again every minute",
                )],
            };
            // Whoever writes ever new documents does not fill the memory: what is forgotten is found out again.
            if known.verdicts.len() >= VERDICTS {
                known.verdicts.clear();
            }
            known.verdicts.insert(hash, verdict);
            // Somebody may have asked for it once more, from another file.
            let files = known.asked.remove(&hash).map_or(asked.files, |asked| asked.files);
            known.again.extend(files);
        }
        self.waiting.send_replace(known.asked.len());
    }

    fn forget(&self, batch: &BTreeMap<ContentHash, Asked>) {
        let mut known = self.lock();
        for (hash, asked) in batch {
            known.verdicts.remove(hash);
            known.again.extend(asked.files.iter().cloned());
        }
    }

    /// Lets documents be checked again that did not fit the system: it may be another one by now.
    pub fn forget_refused(&self, files: impl IntoIterator<Item = PathBuf>) {
        let mut known = self.lock();
        known.verdicts.retain(|_, verdict| verdict.is_empty());
        known.again.extend(files);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A finding as the rule that it breaks.
fn violation(options: &OptionsOf, finding: &Finding) -> Violation {
    let at = &finding.at;
    let option = options.options.get(finding.option).map(|option| option.path.to_string()).unwrap_or_default();
    let field =
        if options.packages.is_empty() { format!("spec.options[\"{option}\"]") } else { "spec.package".to_owned() };
    let few = |names: &[String]| {
        let more = if names.len() > NAMES { ", ..." } else { "" };
        format!("{}{more}", names.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", "))
    };
    match &finding.wrong {
        Wrong::Missing { names } => {
            let last = at.0.last().map(String::as_str).unwrap_or_default();
            let hint =
                did_you_mean(last, names.iter().cloned()).unwrap_or_else(|| format!("there are: {}", few(names)));
            Violation::new("unknown-option", field, format!("this system has no option `{at}`"), hint)
        }
        Wrong::Group { names } => {
            let hint = format!("set the options in it: {}", few(names));
            Violation::new("option-group", field, format!("`{at}` is a group of options, and no option"), hint)
        }
        Wrong::Type { expected } => {
            let hint = "`nixos-option` and the option's page in the NixOS manual tell what it takes";
            Violation::new("option-type", field, format!("`{at}` takes a value of type: {expected}"), hint)
        }
        Wrong::Module => {
            let hint = "set it in the system's own configuration";
            Violation::new("option-module", field, format!("`{at}` takes Nix modules, and documents are data"), hint)
        }
        Wrong::Unknown => {
            let hint = "set it in the system's own configuration, or leave packages out of it";
            Violation::new("option-not-checkable", field, format!("Nix cannot tell what `{at}` takes"), hint)
        }
        Wrong::ReadOnly => Violation::new("option-read-only", field, format!("`{at}` is read-only"), "leave it out"),
        Wrong::Package { names } => {
            let hint = "look for the attribute's name with `nix search nixpkgs NAME`";
            Violation::new("unknown-package", field, format!("nixpkgs has no `pkgs.{}`", names.join("`, `pkgs.")), hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> OptionsOf {
        serde_json::from_str(r#"{"name":"pg","options":[{"path":["services","postgersql","enable"],"value":true}]}"#)
            .unwrap()
    }

    #[test]
    fn a_document_waits_for_its_verdict_and_is_judged_again() {
        let checks = OptionChecks::default();
        let (hash, file) = (ContentHash::of("x"), Path::new("/desired/pg.yaml"));
        assert_eq!(checks.verdict(hash, &options(), file)[0].rule, CHECKING);
        let batch = checks.lock().asked.clone();
        let finding = r#"[{"document":0,"option":0,"at":["services","postgersql"],"problem":"missing","names":["nginx","postgresql"]}]"#;
        checks.decide(batch.clone(), &Ok(serde_json::from_str(finding).unwrap()));
        let verdict = checks.verdict(hash, &options(), file);
        assert_eq!(verdict[0].rule, "unknown-option");
        assert_eq!(verdict[0].field, "spec.options[\"services.postgersql.enable\"]");
        assert_eq!(verdict[0].hint, "did you mean `postgresql`?");
        assert_eq!(checks.take_again(), BTreeSet::from([file.to_owned()]));
        checks.forget(&batch);
        assert_eq!(checks.verdict(hash, &options(), file)[0].rule, CHECKING);
        checks.admitted([hash]);
        assert_eq!(checks.verdict(hash, &options(), file), []);
    }
}
