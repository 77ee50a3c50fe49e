//! Folders that are followed with inotify: documents, and records of switches.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::PoisonError,
    time::Duration,
};

use notify::{Config, EventKind, NullWatcher, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use osmoda_runtime::WorkQueue;

use crate::reconcile::{ChangedPaths, Key};

/// Follows the folders of documents. A folder that is not there yet, or comes back, is seen by its parent. One that cannot
/// be followed (there are too many folders in it) is looked at by each resync; that it is known late is better than that
/// nothing is.
#[derive(Debug)]
pub struct DocumentFolders<W = RecommendedWatcher> {
    watcher: W,
    roots: Vec<PathBuf>,
    /// What is followed under each root's name: a folder that was replaced is another one.
    followed: BTreeMap<PathBuf, (u64, u64)>,
    /// What cannot be followed, or only in part.
    failed: BTreeSet<PathBuf>,
}

impl DocumentFolders {
    /// Follows these folders.
    ///
    /// # Errors
    /// When there is no inotify to be had (fs.inotify.max_user_instances).
    pub fn new(
        roots: &[PathBuf],
        changed: ChangedPaths,
        queue: WorkQueue<Key>,
        debounce: Duration,
    ) -> notify::Result<Self> {
        let own: Vec<PathBuf> = roots.to_vec();
        let handler = move |event: notify::Result<notify::Event>| {
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
        };
        Ok(Self::watched_by(RecommendedWatcher::new(handler, no_links())?, roots))
    }
}

impl DocumentFolders<NullWatcher> {
    /// Folders that nobody follows: a simulation says itself what changed in them.
    #[must_use]
    pub fn unwatched(roots: &[PathBuf]) -> Self {
        Self::watched_by(NullWatcher, roots)
    }
}

impl<W: Watcher> DocumentFolders<W> {
    fn watched_by(mut watcher: W, roots: &[PathBuf]) -> Self {
        for parent in roots.iter().filter_map(|root| root.parent()).filter(|parent| parent.is_dir()) {
            if let Err(error) = watcher.watch(parent, RecursiveMode::NonRecursive) {
                tracing::warn!("{} cannot be followed: {error}", parent.display());
            }
        }
        let roots = roots.to_vec();
        let mut folders = Self { watcher, roots, followed: BTreeMap::new(), failed: BTreeSet::new() };
        folders.follow();
        folders
    }

    /// Follows folders that are new under their names. Returns whether there were any: what happened in them before has
    /// to be looked for.
    pub fn follow(&mut self) -> bool {
        let mut news = false;
        for root in &self.roots {
            let inode = root.symlink_metadata().ok().filter(std::fs::Metadata::is_dir).map(|m| (m.dev(), m.ino()));
            if inode.as_ref() == self.followed.get(root) {
                continue;
            }
            if self.followed.remove(root).is_some() {
                // The kernel may have forgotten it already.
                let _ = self.watcher.unwatch(root);
            }
            let Some(inode) = inode else { continue };
            match self.watcher.watch(root, RecursiveMode::Recursive) {
                Ok(()) => {
                    self.failed.remove(root);
                }
                Err(error) => {
                    if self.failed.insert(root.clone()) {
                        let root = root.display();
                        tracing::warn!("{root} cannot be followed, so each resync looks what changed: {error}");
                    }
                }
            }
            self.followed.insert(root.clone(), inode);
            news = true;
        }
        news
    }

    /// As [`Self::follow`], and tries again what could not be followed.
    pub fn follow_again(&mut self) -> bool {
        self.followed.retain(|root, _| !self.failed.contains(root));
        self.follow()
    }
}

/// Links are not followed: they may lead anywhere, and documents are not read by way of them.
fn no_links() -> Config {
    Config::default().with_follow_symlinks(false)
}

/// Opening and reading is no news; a file that is still being written is looked at when it is closed.
fn is_news(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(notify::event::AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

/// Follows the records of switches. Where that cannot be done, the loop still looks at a switch from time to time.
///
/// # Errors
/// When there is no inotify to be had (fs.inotify.max_user_instances).
pub fn switches(folder: &Path, queue: WorkQueue<Key>) -> notify::Result<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        let record = |event: &notify::Event| event.paths.iter().any(|p| p.extension().is_some_and(|e| e == "json"));
        if event.as_ref().map_or(true, |event| is_news(event.kind) && record(event)) {
            queue.add(Key::Switch, "record", Duration::ZERO);
        }
    };
    let mut watcher = RecommendedWatcher::new(handler, no_links())?;
    if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
        tracing::warn!("{} cannot be followed: {error}", folder.display());
    }
    Ok(watcher)
}

/// A set in which nothing is named yet.
pub fn nothing_changed() -> ChangedPaths {
    std::sync::Arc::new(std::sync::Mutex::new(Some(BTreeSet::new())))
}

#[cfg(test)]
mod tests {
    use notify::{Error, ErrorKind, EventHandler, WatcherKind};

    use super::*;

    /// A kernel that has no room for watches until it is told.
    #[derive(Debug, Default)]
    struct Full {
        room: bool,
        watched: Vec<PathBuf>,
    }

    impl Watcher for Full {
        fn new<F: EventHandler>(_: F, _: Config) -> notify::Result<Self> {
            Ok(Self::default())
        }

        fn watch(&mut self, path: &Path, _: RecursiveMode) -> notify::Result<()> {
            if !self.room {
                return Err(Error::new(ErrorKind::MaxFilesWatch));
            }
            self.watched.push(path.to_owned());
            Ok(())
        }

        fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
            Ok(())
        }

        fn kind() -> WatcherKind {
            WatcherKind::NullWatcher
        }
    }

    #[test]
    fn too_many_watches_are_left_to_the_resync() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("desired");
        std::fs::create_dir(&root).unwrap();
        let mut folders = DocumentFolders::watched_by(Full::default(), std::slice::from_ref(&root));
        // An edit does not try again, a resync does.
        assert!(!folders.follow());
        assert!(folders.follow_again() && folders.failed.contains(&root));
        folders.watcher.room = true;
        assert!(folders.follow_again() && folders.failed.is_empty());
        assert_eq!(folders.watcher.watched, [root]);
        assert!(!folders.follow_again());
    }

    #[tokio::test]
    async fn what_is_behind_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (root, other) = (dir.path().join("desired"), dir.path().join("other"));
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, root.join("link")).unwrap();
        let changed = nothing_changed();
        let queue = WorkQueue::new();
        let roots = std::slice::from_ref(&root);
        let _folders =
            DocumentFolders::new(roots, std::sync::Arc::clone(&changed), queue.clone(), Duration::ZERO).unwrap();
        std::fs::write(other.join("a.yaml"), "a").unwrap();
        std::fs::write(root.join("b.yaml"), "b").unwrap();
        let named = |path: &Path| changed.lock().unwrap().as_ref().unwrap().contains(path);
        while !named(&root.join("b.yaml")) {
            tokio::time::timeout(Duration::from_secs(10), queue.next()).await.expect("the edit is seen");
        }
        assert!(!named(&root.join("link/a.yaml")));
    }
}
