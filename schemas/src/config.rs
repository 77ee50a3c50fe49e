//! agentd's configuration, `/etc/osmoda/agentd.yaml`, read with the same care as documents.

use std::path::{Path, PathBuf};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};

use crate::{
    authors::AuthorRule,
    document::{check_against, node::parse},
    nixos::NixosSystem,
    object::SourcePosition,
    problem::Problem,
    quantity::Duration,
    rules::Backend,
};

/// What the operator of the machine decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Config {
    /// Whether changes are applied when they are seen, or only on `osmoda apply`.
    pub reconcile: Reconcile,
    /// How long a burst of file events is waited out, at most.
    pub debounce: Duration,
    /// How often everything is compared although nothing seems to have happened.
    pub resync: Duration,
    /// What makes a generation real.
    pub backend: Backend,
    /// The system that documents become a part of; backend `nixos` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nixos: Option<NixosSystem>,
    /// Folders of documents.
    pub sources: Vec<String>,
    /// How switches behave unless an object or an apply says otherwise.
    pub safe_switch: SafeSwitch,
    /// When a wave of deletions is held back.
    pub mass_delete: MassDelete,
    /// What users other than root may wish.
    pub authors: Vec<AuthorRule>,
}

/// When changes are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Reconcile {
    /// When they are seen.
    #[default]
    Auto,
    /// On `osmoda apply`.
    Manual,
}

/// How switches behave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct SafeSwitch {
    /// How long all health gates have to pass before a switch is committed.
    pub ttl: Duration,
    /// Time between two rounds of probes.
    pub interval: Duration,
    /// Time that stopping and starting units may take in all.
    pub activation_timeout: Duration,
}

impl Default for SafeSwitch {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
            interval: Duration::from_secs(5),
            activation_timeout: Duration::from_secs(120),
        }
    }
}

/// When a wave of deletions looks like an accident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct MassDelete {
    /// More than this share of all objects at once is held; 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// Fewer deletions than this are never held.
    pub minimum: usize,
}

impl Default for MassDelete {
    fn default() -> Self {
        Self { share: 0.5, minimum: 3 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reconcile: Reconcile::default(),
            debounce: Duration::from_millis(20),
            resync: Duration::from_secs(300),
            backend: Backend::Profile,
            nixos: None,
            sources: vec!["/var/lib/osmoda/desired".to_owned(), "/etc/osmoda/desired.d".to_owned()],
            safe_switch: SafeSwitch::default(),
            mass_delete: MassDelete::default(),
            authors: Vec::new(),
        }
    }
}

impl Config {
    /// The folders of documents as paths.
    #[must_use]
    pub fn source_paths(&self) -> Vec<PathBuf> {
        self.sources.iter().map(PathBuf::from).collect()
    }

    /// Reads a configuration. An empty text is the default one.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn read(file: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let (nodes, error) = parse(text);
        if let Some(error) = error {
            let position = SourcePosition { file: file.into(), line: error.place.line, column: error.place.column };
            return Err(vec![error.problem.at(position)]);
        }
        let Some(node) = nodes.first() else { return Ok(Self::default()) };
        let value = node.to_json();
        if value.is_null() {
            return Ok(Self::default());
        }
        let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Self>().to_value();
        let validator = jsonschema::validator_for(&schema).expect("generated schemas are schemas");
        let problems = check_against(&schema, &validator, node, &value, file);
        if !problems.is_empty() {
            return Err(problems);
        }
        let position = SourcePosition { file: file.into(), line: node.place.line, column: node.place.column };
        let config: Self = serde_path_to_error::deserialize(&value).map_err(|error| {
            let field = error.path().to_string();
            vec![Problem::new(422, "invalid-value", error.inner().to_string()).field(field).at(position.clone())]
        })?;
        match config.check_system() {
            Ok(()) => Ok(config),
            Err(problem) => {
                let field = problem.field.as_deref().unwrap_or_default();
                let place = node.locate(&format!("/{}", field.replace(['.', '['], "/").replace(']', "")));
                Err(vec![problem.at(SourcePosition { line: place.line, column: place.column, ..position })])
            }
        }
    }

    fn check_system(&self) -> Result<(), Problem> {
        match (self.backend, &self.nixos) {
            (Backend::Nixos, system) => system.clone().unwrap_or_default().check(),
            (Backend::Profile, None) => Ok(()),
            (Backend::Profile, Some(_)) => Err(Problem::new(422, "nixos-system", "the backend is `profile`")
                .field("nixos")
                .hint("set `backend: nixos`, or leave it out")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default_configuration() {
        assert_eq!(Config::read("agentd.yaml".as_ref(), "# nothing\n").unwrap(), Config::default());
    }

    #[test]
    fn settings_are_read_and_slips_are_named() {
        let config = Config::read(
            "agentd.yaml".as_ref(),
            "reconcile: manual\nsafeSwitch: {ttl: 1m}\nauthors:\n- user: 1000\n  kinds: [App]\n",
        )
        .unwrap();
        assert_eq!((config.reconcile, config.safe_switch.ttl), (Reconcile::Manual, Duration::from_secs(60)));
        let problems = Config::read("agentd.yaml".as_ref(), "safeSwitch:\n  tll: 1m\n").unwrap_err();
        assert_eq!(problems[0].field.as_deref(), Some("safeSwitch.tll"));
        assert_eq!(problems[0].hint.as_deref(), Some("did you mean `ttl`?"));
        assert_eq!(problems[0].source.as_ref().unwrap().line, 2);
    }

    #[test]
    fn the_system_of_the_nixos_backend_is_named_once() {
        let read = |text: &str| Config::read("agentd.yaml".as_ref(), text).map_err(|mut problems| problems.remove(0));
        let config = read("backend: nixos\nnixos:\n  flake: /etc/nixos#host\n").unwrap();
        assert_eq!(config.nixos.unwrap().flake.as_deref(), Some("/etc/nixos#host"));
        let problem = read("backend: nixos\n").unwrap_err();
        assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("nixos-system", Some("nixos")));
        let problem = read("backend: nixos\nnixos:\n  system: a.nix\n").unwrap_err();
        assert_eq!((problem.field.as_deref(), problem.source.unwrap().line), (Some("nixos.system"), 3));
        assert_eq!(read("nixos: {system: /a.nix}\n").unwrap_err().field.as_deref(), Some("nixos"));
    }
}
