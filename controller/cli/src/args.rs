//! The command line, as clap reads it.

pub mod wallet;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::styling};
use osmoda_schemas::{
    object::{Kind, ObjectRef},
    quantity::Duration,
};

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

/// Say what the server should be; osModa makes it so, proves it healthy, or undoes it.
#[derive(Debug, Parser)]
#[command(name = "osmoda", version, styles = STYLES, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Examples:
  osmoda validate web.yaml          check a document, touch nothing
  osmoda diff                       what would change, and why
  osmoda apply --wait               make it so; wait for the verdict
  osmoda get apps                   what runs
  osmoda rollback                   back to the generation before")]
pub struct Cli {
    /// How to print the answer.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// When to use colour.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// Where the daemons' sockets are.
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/osmoda", hide_default_value = true)]
    pub run_dir: PathBuf,
    /// Where osModa keeps its state.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/osmoda", hide_default_value = true)]
    pub state_dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For both.
    Yaml,
}

/// When colour is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check documents without touching the machine.
    ///
    /// Exit status: 0 all are valid, 2 some are not.
    #[command(
        after_help = "Examples:\n  osmoda validate web.yaml\n  osmoda validate -o json desired/\n  cat web.yaml | osmoda validate -"
    )]
    Validate(Validate),
    /// Show exactly what an apply would do: objects, fields, units, store paths.
    ///
    /// Exit status: 0 nothing would change, 1 something would, 2 an error.
    #[command(
        after_help = "Examples:\n  osmoda diff\n  osmoda diff -f web.yaml\n  osmoda diff -o json | jq -r .plan.id"
    )]
    Diff(Diff),
    /// Make the documents real through SafeSwitch.
    ///
    /// Exit status: 0 applied (with --wait: committed), 2 refused or an error, 3 rolled back, 4 the rollback failed.
    #[command(
        after_help = "Examples:\n  osmoda apply\n  osmoda apply -f web.yaml --wait\n  osmoda apply --plan 3f2a... --wait   only if the plan is still this one"
    )]
    Apply(Apply),
    /// List objects.
    #[command(
        after_help = "Examples:\n  osmoda get\n  osmoda get apps\n  osmoda get App/web -o yaml\n  osmoda get apps -l team=shop"
    )]
    Get(Get),
    /// Show all that is known about an object.
    #[command(after_help = "Example:\n  osmoda describe App/web")]
    Describe {
        /// The object, such as App/web.
        object: ObjectRef,
    },
    /// Delete objects that came over the API.
    #[command(
        after_help = "Example:\n  osmoda delete App/web\n\nAn object that a file defines is deleted by deleting its document."
    )]
    Delete {
        /// The objects, such as App/web.
        #[arg(required = true)]
        objects: Vec<ObjectRef>,
        /// Wait for the verdict.
        #[arg(long)]
        wait: bool,
    },
    /// Explain a kind or a field of it.
    #[command(after_help = "Examples:\n  osmoda explain App\n  osmoda explain App.spec.health")]
    Explain {
        /// The path, such as App.spec.health.
        path: String,
    },
    /// Print the JSON Schema of a kind, or of all of them.
    #[command(after_help = "Example:\n  osmoda schema App > app.schema.json")]
    Schema {
        /// The kind.
        kind: Option<Kind>,
    },
    /// Show what happened.
    #[command(after_help = "Examples:\n  osmoda events --limit 20\n  osmoda events --type 'switch.*' --follow")]
    Events(Events),
    /// Show what an object's program wrote.
    #[command(after_help = "Examples:\n  osmoda logs App/web\n  osmoda logs App/web --follow")]
    Logs(Logs),
    /// List generations.
    #[command(after_help = "Example:\n  osmoda generations -o json")]
    Generations,
    /// Switch back to the generation before, or to generation N.
    ///
    /// Exit status: 0 the older generation is committed, 2 refused, 3 rolled back to where it was, 4 that failed.
    #[command(after_help = "Examples:\n  osmoda rollback\n  osmoda rollback 41 --wait")]
    Rollback {
        /// The number of the generation.
        generation: Option<u64>,
        /// Wait for the verdict.
        #[arg(long)]
        wait: bool,
    },
    /// Decide about the switch that goes on, before its probation is over.
    #[command(subcommand)]
    Switch(SwitchCommand),
    /// Remove old generations and what only they need.
    #[command(
        after_help = "Example:\n  osmoda gc --keep 10\n\nThe active generation, the boot default and those of a switch in flight are never removed."
    )]
    Gc {
        /// How many of the newest generations to keep.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        keep: u32,
    },
    /// Show the switches of the past.
    #[command(after_help = "Example:\n  osmoda history --limit 5")]
    History {
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Show how osModa is: the loop, what is in flight, what is held, what is degraded.
    #[command(after_help = "Examples:\n  osmoda status\n  osmoda status -o json | jq -r .state")]
    Status,
    /// Look for what keeps osModa from working, and say what to do.
    ///
    /// Exit status: 0 nothing was found, 1 something was.
    #[command(after_help = "Example:\n  osmoda doctor")]
    Doctor,
    /// Work with the ledger.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Work with wallets: keys that keyd keeps, and what they sign.
    #[command(subcommand)]
    Wallet(wallet::WalletCommand),
    /// Print the completion script of a shell.
    #[command(after_help = "Example:\n  osmoda completions bash > /etc/bash_completion.d/osmoda")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a folder.
    #[command(after_help = "Example:\n  osmoda man /usr/local/share/man/man1")]
    Man {
        /// The folder; it has to exist.
        folder: PathBuf,
    },
}

/// Arguments of `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// Files and folders; `-` is standard input. Default: all that agentd reads.
    pub paths: Vec<PathBuf>,
    /// agentd's configuration, which says for what backend the documents are. Default: that of this machine.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// Documents to look at as if they were applied; `-` is standard input.
    #[arg(short, long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Build the NixOS system, too, and show what its activation would do (backend `nixos`).
    #[arg(long)]
    pub build: bool,
}

/// Arguments of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// Documents to take in first; `-` is standard input.
    #[arg(short, long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Wait until the switch is committed or rolled back.
    #[arg(long)]
    pub wait: bool,
    /// Only show the plan.
    #[arg(long)]
    pub dry_run: bool,
    /// Refuse unless the plan has this id.
    #[arg(long, value_name = "ID")]
    pub plan: Option<String>,
    /// How long the health gates have to pass; 0s turns them off.
    #[arg(long)]
    pub ttl: Option<Duration>,
    /// Say yes to deletions that were held because there are so many.
    #[arg(long)]
    pub accept_mass_delete: bool,
    /// Try a generation again that was rolled back before.
    #[arg(long)]
    pub clear_quarantine: bool,
    /// Build the NixOS system anew although no document has changed: its own configuration has (backend `nixos`).
    #[arg(long)]
    pub rebuild: bool,
}

/// Arguments of `get`.
#[derive(Debug, Args)]
pub struct Get {
    /// A kind (`apps`), or an object (`App/web`). Default: everything.
    pub what: Option<Selection>,
    /// Only objects with this label.
    #[arg(short = 'l', long, value_name = "KEY=VALUE")]
    pub label: Option<String>,
}

/// A kind or one object.
#[derive(Clone, Debug)]
pub enum Selection {
    /// All of a kind.
    Kind(Kind),
    /// One object.
    Object(ObjectRef),
}

impl std::str::FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            text.parse().map(Self::Object).map_err(|e| format!("{e}"))
        } else {
            text.parse().map(Self::Kind).map_err(|e| format!("{e}"))
        }
    }
}

/// Arguments of `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// Go on as events come.
    #[arg(short, long)]
    pub follow: bool,
    /// Which ones.
    #[command(flatten)]
    pub filter: EventFilter,
}

/// Which events.
#[derive(Debug, Args)]
pub struct EventFilter {
    /// Only events of this type; a trailing `*` stands for any ending.
    #[arg(long = "type", value_name = "TYPE")]
    pub event_type: Option<String>,
    /// Only events of this actor.
    #[arg(long)]
    pub actor: Option<String>,
    /// How many of the latest.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// Only events after this row.
    #[arg(long, value_name = "ID")]
    pub since: Option<i64>,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The object, such as App/web.
    pub object: ObjectRef,
    /// Go on as lines come.
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the latest lines.
    #[arg(short = 'n', long, default_value_t = 100)]
    pub lines: u32,
}

/// What to decide about a switch.
#[derive(Debug, Subcommand)]
pub enum SwitchCommand {
    /// Commit it now, whatever its gates say.
    ///
    /// Exit status: 0 it is committed, 2 refused, 3 it was rolled back after all, 4 that failed.
    #[command(after_help = "Example:\n  osmoda switch commit")]
    Commit {
        /// Its number, or the beginning or end of it. Default: the one that goes on.
        id: Option<String>,
    },
    /// Take it back now; one that is still being built is called off.
    ///
    /// Exit status: 0 it is rolled back, 2 refused, 3 it was committed before, 4 the rollback failed.
    #[command(after_help = "Example:\n  osmoda switch rollback")]
    Rollback {
        /// Its number, or the beginning or end of it. Default: the one that goes on.
        id: Option<String>,
    },
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Prove that no event was changed, removed or added behind osModa's back.
    ///
    /// Exit status: 0 it is whole, 1 it is not, 2 it cannot be read.
    #[command(
        after_help = "Examples:\n  osmoda ledger verify\n  osmoda ledger verify /mnt/copy --key ~/checkpoint.pub --seen ~/cosigned"
    )]
    Verify {
        /// The ledger's folder. Default: the machine's.
        folder: Option<PathBuf>,
        /// A copy of `checkpoint.pub` that was kept elsewhere. Default: the one beside the ledger.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// A copy of a witness's public key that was kept elsewhere. Default: `witness.pub` beside the ledger.
        #[arg(long, value_name = "FILE")]
        witness: Vec<PathBuf>,
        /// Checkpoints that were kept elsewhere: what a witness remembers, or a copy of `cosigned`.
        #[arg(long, value_name = "FILE")]
        seen: Vec<PathBuf>,
    },
    /// Prove to others that an event is in the ledger, or that it still has all that it once had.
    ///
    /// What it prints is verified with public keys alone, also by docs/verify_ledger.py, far from this machine.
    #[command(
        after_help = "Examples:\n  osmoda ledger prove 42 > event-42.tlog-proof\n  osmoda ledger prove --since ~/checkpoint"
    )]
    Prove {
        /// The number of the event.
        #[arg(required_unless_present = "since", conflicts_with = "since")]
        id: Option<u64>,
        /// A file with a checkpoint that was kept: prove that nothing of what it covers has changed.
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        /// The ledger's folder. Default: the machine's.
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Move a sealed segment to another place, for good.
    ///
    /// Its events are no longer listed then; its rows still count in checkpoints, and `verify` knows that it was archived.
    Archive {
        /// The number of the segment: what the name of its file begins with.
        segment: u32,
        /// The folder to move it to.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Print the number and hash of the last event.
    Head,
    /// Sign a checkpoint now.
    Checkpoint,
}

/// The original's small tool, the same binary by another name.
#[derive(Debug, Parser)]
#[command(name = "agentctl", version, styles = STYLES)]
pub struct Agentctl {
    /// How to print the answer.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Where osModa keeps its state.
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/osmoda", hide_default_value = true)]
    pub state_dir: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub command: AgentctlCommand,
}

/// What `agentctl` can do.
#[derive(Debug, Subcommand)]
pub enum AgentctlCommand {
    /// Show what happened (as `osmoda events`, read from the ledger itself: no daemon has to run).
    Events(EventFilter),
    /// Prove that the ledger is whole (as `osmoda ledger verify`).
    ///
    /// Exit status: 0 it is whole, 1 it is not, 2 it cannot be read.
    VerifyLedger,
}
