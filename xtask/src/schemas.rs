//! `cargo xtask schemas`: files, and parts of pages, that are generated from the code.

use anyhow::{Result, bail};
use clap::Args;
use osmoda_schemas::generate;

use crate::failpoints;

/// Write the generated files, or check that they are fresh.
#[derive(Debug, Args)]
pub struct Schemas {
    /// Change nothing; fail when a file is stale.
    #[arg(long)]
    check: bool,
}

impl Schemas {
    /// Does it.
    pub fn run(&self) -> Result<()> {
        let mut stale = Vec::new();
        let mut generated = generate::all_in(&crate::root())?;
        generated.push((format!("docs/{}", failpoints::PAGE), failpoints::page()?));
        for (path, text) in generated {
            let file = crate::root().join(&path);
            if std::fs::read_to_string(&file).unwrap_or_default() == text {
                continue;
            }
            stale.push(path);
            if !self.check {
                std::fs::create_dir_all(file.parent().expect("files are in folders"))?;
                std::fs::write(file, text)?;
            }
        }
        if self.check && !stale.is_empty() {
            bail!("stale: {}; run `cargo xtask schemas`", stale.join(", "));
        }
        Ok(())
    }
}
