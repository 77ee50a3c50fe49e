//! Folders that are followed with inotify: documents, and records of switches.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use osmoda_runtime::WorkQueue;

use crate::reconcile::{ChangedPaths, Key};

/// Follows the folders of documents. A folder that is not there yet, or comes back, is seen by its parent.
///
/// # Errors
/// When inotify has no room left (fs.inotify.max_user_watches).
pub fn documents(
    roots: &[PathBuf],
    changed: ChangedPaths,
    queue: WorkQueue<Key>,
    debounce: Duration,
) -> notify::Result<RecommendedWatcher> {
    let own: Vec<PathBuf> = roots.to_vec();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let mut set = changed.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Ok(event) if !is_news(event.kind) => return,
            // The kernel's queue overflowed: nobody knows what changed.
            Ok(event) if event.need_rescan() => *set = None,
            Ok(event) => {
                let within = |path: &Path| own.iter().any(|root| path.starts_with(root));
                let mut paths = event.paths.into_iter().filter(|path| within(path)).peekable();
                if paths.peek().is_none() {
                    return;
                }
                if let Some(set) = set.as_mut() {
                    set.extend(paths);
                }
            }
            Err(error) => {
                tracing::warn!("inotify: {error}");
                *set = None;
            }
        }
        drop(set);
        queue.add(Key::Documents, "file", debounce);
    })?;
    for root in roots {
        if let Some(parent) = root.parent().filter(|parent| parent.is_dir()) {
            watcher.watch(parent, RecursiveMode::NonRecursive)?;
        }
        if root.is_dir() {
            watcher.watch(root, RecursiveMode::Recursive)?;
        }
    }
    Ok(watcher)
}

/// Opening and reading is no news; a file that is still being written is looked at when it is closed.
fn is_news(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(notify::event::AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Follows the records of switches.
///
/// # Errors
/// When inotify has no room left.
pub fn switches(folder: &Path, queue: WorkQueue<Key>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let record = |event: &notify::Event| event.paths.iter().any(|p| p.extension().is_some_and(|e| e == "json"));
        if event.as_ref().map_or(true, |event| is_news(event.kind) && record(event)) {
            queue.add(Key::Switch, "record", Duration::ZERO);
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// A set in which nothing is named yet.
pub fn nothing_changed() -> ChangedPaths {
    std::sync::Arc::new(std::sync::Mutex::new(Some(BTreeSet::new())))
}
