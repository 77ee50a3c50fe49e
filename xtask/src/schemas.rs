//! `cargo xtask schemas`: files that are generated from the types.

use anyhow::{Result, bail};
use clap::Args;
use osmoda_schemas::generate;

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
        for (path, text) in generate::all_in(&crate::root())? {
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
