//! Pages under `docs/` with parts that are generated.

use anyhow::{Result, bail};

/// A page of `docs/` with the text between `<!-- NAME -->` and `<!-- end of NAME -->` replaced.
///
/// # Errors
/// When the page cannot be read, or has no such marks.
pub fn with_part(page: &str, name: &str, part: &str) -> Result<String> {
    let file = crate::root().join("docs").join(page);
    let text = std::fs::read_to_string(&file)?;
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- end of {name} -->"));
    let (Some(from), Some(to)) = (text.find(&begin), text.find(&end)) else {
        bail!("{} has no marks for the {name}", file.display());
    };
    Ok(format!("{}{begin}\n\n{part}\n{}", &text[..from], &text[to..]))
}

/// Replaces a part of a page.
///
/// # Errors
/// As [`with_part`], or when it cannot be written.
pub fn write_part(page: &str, name: &str, part: &str) -> Result<()> {
    let text = with_part(page, name, part)?;
    Ok(std::fs::write(crate::root().join("docs").join(page), text)?)
}
