//! Folders that are followed with inotify: documents, and records of switches.

mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use osmoda_runtime::WorkQueue;
use rustix::fd::OwnedFd;

use self::tree::{News, Tree};
use crate::reconcile::{ChangedPaths, Key};

/// Folders that are followed at most...
const MOST_FOLDERS: usize = 32_768;
/// ...and the share of what the kernel lets root follow, who is one user with all that runs as root: authors, who make
/// folders as they like, must not leave the rest of the machine without.
const SHARE: usize = 4;
/// What it lets each user follow (inotify(7)); less on a machine with less memory.
const ALLOWED: &str = "/proc/sys/fs/inotify/max_user_watches";

/// Follows the folders of documents. A folder that is not there yet, or comes back, is seen by its parent. One that cannot
/// be followed (there are too many folders in it) is looked at by each resync; that it is known late is better than that
/// nothing is.
#[derive(Debug)]
pub struct DocumentFolders {
    tree: Arc<Mutex<Tree>>,
    roots: Vec<PathBuf>,
    /// What is followed under each root's name: a folder that was replaced is another one.
    followed: BTreeMap<PathBuf, (u64, u64)>,
    /// The thread that reads what happens ends when this end of a pipe does.
    _end: OwnedFd,
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
    ) -> io::Result<Self> {
        let told = move |news: News| {
            let mut set = changed.lock().unwrap_or_else(PoisonError::into_inner);
            match news {
                News::Paths(paths) => {
                    if let Some(set) = set.as_mut() {
                        set.extend(paths);
                    }
                }
                News::Anything => *set = None,
            }
            drop(set);
            queue.add(Key::Documents, "file", debounce);
        };
        let allowed = std::fs::read_to_string(ALLOWED).ok().and_then(|text| text.trim().parse::<usize>().ok());
        Self::limited(roots, allowed.map_or(MOST_FOLDERS, |allowed| MOST_FOLDERS.min(allowed / SHARE)), told)
    }

    fn limited(roots: &[PathBuf], most: usize, told: impl Fn(News) + Send + 'static) -> io::Result<Self> {
        let tree = Tree::new(roots.to_vec(), most)?;
        let (until, end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let tree = tree::read(tree, until, told)?;
        let mut folders = Self { tree, roots: roots.to_vec(), followed: BTreeMap::new(), _end: end };
        for parent in roots.iter().filter_map(|root| root.parent()).filter(|parent| parent.is_dir()) {
            folders.tree().follow_alone(parent);
        }
        folders.follow();
        Ok(folders)
    }

    fn tree(&self) -> std::sync::MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows folders that are new under their names. Returns whether there were any: what happened in them before has
    /// to be looked for.
    pub fn follow(&mut self) -> bool {
        let mut news = false;
        for root in self.roots.clone() {
            let inode = root.symlink_metadata().ok().filter(std::fs::Metadata::is_dir).map(|m| (m.dev(), m.ino()));
            if inode.as_ref() == self.followed.get(&root) {
                continue;
            }
            if self.followed.remove(&root).is_some() {
                self.tree().forget(&root);
            }
            let Some(inode) = inode else { continue };
            self.tree().follow(&root);
            self.followed.insert(root, inode);
            news = true;
        }
        news
    }

    /// As [`Self::follow`], and tries again what could not be followed.
    pub fn follow_again(&mut self) -> bool {
        // From nothing: what is no longer there must not count.
        let all = self.tree().failed();
        for failed in all {
            self.tree().forget(&failed);
            self.followed.retain(|root, _| !root.starts_with(&failed));
        }
        self.follow()
    }
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
    let mut watcher = RecommendedWatcher::new(handler, Config::default().with_follow_symlinks(false))?;
    if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
        tracing::warn!("{} cannot be followed: {error}", folder.display());
    }
    Ok(watcher)
}

/// A set in which nothing is named yet.
pub fn nothing_changed() -> ChangedPaths {
    Arc::new(Mutex::new(Some(BTreeSet::new())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Folders that are followed, with what is told of them.
    fn followed(root: &Path, most: usize) -> (DocumentFolders, ChangedPaths) {
        let changed = nothing_changed();
        let told = {
            let changed = Arc::clone(&changed);
            move |news: News| {
                if let (News::Paths(paths), Some(set)) = (news, changed.lock().unwrap().as_mut()) {
                    set.extend(paths);
                }
            }
        };
        (DocumentFolders::limited(&[root.to_owned()], most, told).unwrap(), changed)
    }

    fn named(changed: &ChangedPaths, path: &Path) -> bool {
        changed.lock().unwrap().as_ref().unwrap().contains(path)
    }

    /// Waits until a change is told; whatever was told before it is there, too.
    fn told(changed: &ChangedPaths, path: &Path) {
        for _ in 0..1000 {
            if named(changed, path) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} is not told", path.display());
    }

    #[test]
    fn too_many_folders_are_left_to_the_resync() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("desired");
        fs::create_dir_all(root.join("a/b")).unwrap();
        // Its parent, itself, and one of the two in it.
        let (mut folders, _) = followed(&root, 3);
        // An edit does not try again, a resync does.
        assert!(!folders.follow());
        assert!(folders.follow_again() && folders.tree().failed().contains(&root));
        fs::remove_dir(root.join("a/b")).unwrap();
        for _ in 0..1000 {
            if folders.follow_again() && folders.tree().failed().is_empty() {
                assert!(!folders.follow_again());
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("a folder that is gone still counts");
    }

    #[test]
    fn who_has_too_many_folders_has_them_for_himself() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("desired");
        for n in 0..50 {
            fs::create_dir_all(root.join(format!("mallory/a{n}/b"))).unwrap();
        }
        fs::create_dir(root.join("alice")).unwrap();
        fs::create_dir(root.join("zoe")).unwrap();
        let (_folders, changed) = followed(&root, 20);
        for name in ["alice/a.yaml", "zoe/a.yaml", "mallory/a.yaml"] {
            fs::write(root.join(name), "").unwrap();
            told(&changed, &root.join(name));
        }
    }

    #[test]
    fn what_is_behind_a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (root, other) = (dir.path().join("desired"), dir.path().join("other"));
        fs::create_dir(&root).unwrap();
        fs::create_dir_all(other.join("inner")).unwrap();
        std::os::unix::fs::symlink(&other, root.join("link")).unwrap();
        let (folders, changed) = followed(&root, 100);
        let before = folders.tree().count();
        // Not even one that was a folder when its name was told. Without a guard some of these are followed.
        for n in 0..300 {
            let name = root.join(format!("d{n}"));
            fs::create_dir(&name).unwrap();
            fs::remove_dir(&name).unwrap();
            std::os::unix::fs::symlink(&other, &name).unwrap();
        }
        fs::write(root.join("b.yaml"), "b").unwrap();
        told(&changed, &root.join("b.yaml"));
        assert_eq!(folders.tree().count(), before);
        fs::write(other.join("a.yaml"), "a").unwrap();
        fs::write(other.join("inner/a.yaml"), "a").unwrap();
        fs::write(root.join("c.yaml"), "c").unwrap();
        told(&changed, &root.join("c.yaml"));
        let set = changed.lock().unwrap().clone().unwrap();
        assert!(!set.iter().any(|path| path.ends_with("a.yaml")), "{set:?}");
    }

    #[test]
    fn folders_that_are_made_moved_and_exchanged_are_followed_under_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("desired");
        fs::create_dir(&root).unwrap();
        let (folders, changed) = followed(&root, 100);
        fs::create_dir_all(root.join("a/inner")).unwrap();
        fs::create_dir(root.join("b")).unwrap();
        told(&changed, &root.join("b"));
        fs::write(root.join("a/inner/1.yaml"), "").unwrap();
        told(&changed, &root.join("a"));
        for n in 0..50 {
            rustix::fs::renameat_with(
                rustix::fs::CWD,
                root.join("a"),
                rustix::fs::CWD,
                root.join("b"),
                rustix::fs::RenameFlags::EXCHANGE,
            )
            .unwrap();
            fs::write(root.join(format!("{n}.yaml")), "").unwrap();
        }
        fs::rename(root.join("a"), root.join("c")).unwrap();
        told(&changed, &root.join("c"));
        changed.lock().unwrap().as_mut().unwrap().clear();
        fs::write(root.join("c/inner/2.yaml"), "").unwrap();
        told(&changed, &root.join("c/inner/2.yaml"));
        fs::write(root.join("b/3.yaml"), "").unwrap();
        told(&changed, &root.join("b/3.yaml"));
        // Hidden folders are not looked into until they are not hidden.
        fs::rename(root.join("c"), root.join(".c")).unwrap();
        fs::write(root.join("4.yaml"), "").unwrap();
        told(&changed, &root.join("4.yaml"));
        assert_eq!(folders.tree().count(), 3);
        fs::rename(root.join(".c"), root.join("d")).unwrap();
        told(&changed, &root.join("d"));
        fs::write(root.join("d/inner/5.yaml"), "").unwrap();
        told(&changed, &root.join("d/inner/5.yaml"));
    }
}
