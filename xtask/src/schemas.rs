//! `cargo xtask schemas`: files that are generated from the types.

use anyhow::{Result, bail};
use clap::Args;
use osmoda_schemas::{explain::field_table, generate, object::Kind};

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
        let mut files = generate::all();
        for kind in Kind::ALL {
            let page = page_of(*kind);
            let text = std::fs::read_to_string(crate::root().join(&page)).unwrap_or_default();
            files.push((page, with_table(&text, *kind)));
        }
        for (path, text) in files {
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

fn page_of(kind: Kind) -> String {
    let mut name = String::new();
    for c in kind.as_str().chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(c.to_ascii_lowercase());
    }
    format!("docs/kinds/{name}.md")
}

/// The page with its table of fields between the marks made anew.
fn with_table(page: &str, kind: Kind) -> String {
    let (begin, end) = (format!("<!-- fields of {kind} -->"), "<!-- end of fields -->");
    match (page.find(&begin), page.find(end)) {
        (Some(from), Some(to)) => {
            format!("{}{begin}\n\n{}\n{}", &page[..from], field_table(kind), &page[to..])
        }
        _ => page.to_owned(),
    }
}
