//! Following the ledger, whoever appends to it.

use std::path::Path;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use crate::{LedgerError, Reader};

/// Tells the id of the last row as it grows. It ends when this is dropped.
#[derive(Debug)]
pub struct Follower {
    _watcher: RecommendedWatcher,
    head: watch::Receiver<i64>,
}

impl Follower {
    /// Follows the ledger of a folder with inotify(7).
    ///
    /// # Errors
    /// When the ledger cannot be read, or inotify has no room left.
    pub fn new(folder: &Path) -> Result<Self, LedgerError> {
        let reader = Reader::open(folder)?;
        let head = move || reader.head().ok().flatten().map_or(0, |(id, _)| id);
        let (sender, receiver) = watch::channel(head());
        let failed = |e: notify::Error| LedgerError::file(folder, e);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Readers touch the other files of the database, too: only what the log gets is news.
            let news =
                event.is_ok_and(|e| matches!(e.kind, EventKind::Modify(_)) && e.paths.iter().any(|path| is_log(path)));
            if news {
                let now = head();
                sender.send_if_modified(|known| std::mem::replace(known, now) != now);
            }
        })
        .map_err(failed)?;
        watcher.watch(folder, RecursiveMode::NonRecursive).map_err(failed)?;
        Ok(Self { _watcher: watcher, head: receiver })
    }

    /// The id of the last row; 0 while there is none.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<i64> {
        self.head.clone()
    }
}

/// The write-ahead log of the file that is written to, whichever that is by now.
fn is_log(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(".db-wal"))
}
