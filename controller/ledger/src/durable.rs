//! Files and folders that are there after a power cut, or are as they were.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use osmoda_failpoint as failpoint;

use crate::LedgerError;

/// Replaces a file in one step; durable when it returns.
pub(crate) fn place(file: &Path, contents: &[u8], mode: u32) -> Result<(), LedgerError> {
    let failed = |e: io::Error| LedgerError::file(file, e);
    let new = file.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut out = OpenOptions::new().create_new(true).write(true).mode(mode).open(&new).map_err(failed)?;
    out.write_all(contents).map_err(failed)?;
    out.sync_all().map_err(failed)?;
    failpoint::may_fail("ledger.place", file.display()).map_err(failed)?;
    fs::rename(&new, file).map_err(failed)?;
    failpoint::after("ledger.place", file.display());
    file.parent().map_or(Ok(()), sync_folder)
}

/// Makes a folder, and those above it, when they are not there; each that it makes is durable when it returns.
pub(crate) fn make_folder(folder: &Path, mode: u32) -> Result<(), LedgerError> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(above, mode)?;
    match DirBuilder::new().mode(mode).create(folder) {
        // Another process was quicker.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(LedgerError::file(folder, error)),
        _ => {}
    }
    // What the next one finds made it takes for durable.
    sync_folder(above).inspect_err(|_| drop(fs::remove_dir(folder)))
}

/// Makes durable which names a folder has.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), LedgerError> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(|e| LedgerError::file(folder, e))
}
