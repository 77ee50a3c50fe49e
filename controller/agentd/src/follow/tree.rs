//! Folders followed with inotify(7), by what was opened and not by what is under a name meanwhile: who owns a folder swaps
//! names in it for links as he likes, and must not have us look at the whole machine.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use osmoda_schemas::document::is_hidden;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fd::OwnedFd,
    fs::{
        FileType,
        inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    },
    io::Errno,
};

use crate::sources::{Folder, MAX_DEPTH};

/// What is news. Opening and reading is none.
const WHAT: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// What happened.
#[derive(Debug)]
pub enum News {
    /// Something under these names.
    Paths(Vec<PathBuf>),
    /// Nobody knows what.
    Anything,
}

/// Folders that are followed.
#[derive(Debug)]
pub struct Tree {
    inotify: Arc<OwnedFd>,
    roots: Vec<PathBuf>,
    /// Paths by inotify's numbers.
    paths: HashMap<i32, PathBuf>,
    /// How many there may be.
    most: usize,
    /// Roots that cannot be followed, or only in part.
    failed: BTreeSet<PathBuf>,
}

impl Tree {
    /// Follows nothing yet.
    ///
    /// # Errors
    /// When there is no inotify to be had (fs.inotify.max_user_instances).
    pub fn new(roots: Vec<PathBuf>, most: usize) -> io::Result<Self> {
        let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?);
        Ok(Self { inotify, roots, paths: HashMap::new(), most, failed: BTreeSet::new() })
    }

    /// Roots that cannot be followed, or only in part.
    pub fn failed(&self) -> BTreeSet<PathBuf> {
        self.failed.clone()
    }

    /// How many folders are followed.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.paths.len()
    }

    /// Follows a folder, and not what is in it.
    pub fn follow_alone(&mut self, path: &Path) {
        if let Err(error) = Folder::open(path).and_then(|folder| self.add(&folder)) {
            tracing::warn!("{} cannot be followed: {error}", path.display());
        }
    }

    /// Follows a root and what is in it, as far as that is possible.
    pub fn follow(&mut self, root: &Path) {
        match Folder::open(root).and_then(|folder| self.add_all(&folder, 0)) {
            Ok(()) => {
                self.failed.remove(root);
            }
            Err(error) => self.cannot_follow(root, &error),
        }
    }

    /// Follows a path and everything below it no more.
    pub fn forget(&mut self, path: &Path) {
        let inotify = &self.inotify;
        self.paths.retain(|number, known| {
            let keep = !known.starts_with(path);
            if !keep {
                // The kernel may have forgotten it already.
                let _ = inotify::remove_watch(inotify, *number);
            }
            keep
        });
    }

    fn cannot_follow(&mut self, root: &Path, error: &io::Error) {
        if self.failed.insert(root.to_owned()) {
            tracing::warn!("{} cannot be followed, so each resync looks what changed: {error}", root.display());
        }
    }

    fn add(&mut self, folder: &Folder) -> io::Result<()> {
        // The very folder that is open: its path may lead elsewhere by now.
        let number = inotify::add_watch(&self.inotify, folder.itself(), WHAT)?;
        self.paths.insert(number, folder.path().to_owned());
        if self.paths.len() > self.most {
            self.paths.remove(&number);
            let _ = inotify::remove_watch(&self.inotify, number);
            return Err(self.too_many());
        }
        Ok(())
    }

    /// Follows a folder and what is in it; what is nearer first, so that one who makes too many folders inside of each
    /// other, or too many in his own, leaves the others theirs. One that goes away meanwhile keeps nobody back.
    fn add_all(&mut self, top: &Folder, depth: usize) -> io::Result<()> {
        let mut waiting = VecDeque::from([(PathBuf::new(), depth)]);
        let mut all = true;
        while let Some((below, depth)) = waiting.pop_front() {
            let inner = match top.folder(&below) {
                _ if below.as_os_str().is_empty() => None,
                Ok(inner) => Some(inner),
                // It is gone, or something else by now.
                Err(_) => continue,
            };
            let folder = inner.as_ref().unwrap_or(top);
            let entries = match self.add(folder).and_then(|()| folder.entries()) {
                Ok(entries) => entries,
                Err(error) if inner.is_none() || error.kind() == io::ErrorKind::StorageFull => return Err(error),
                Err(_) => continue,
            };
            for (name, kind) in entries {
                if depth == MAX_DEPTH || is_hidden(&name) || !matches!(kind, FileType::Directory | FileType::Unknown) {
                    continue;
                }
                all &= waiting.len() < self.most;
                if all {
                    waiting.push_back((below.join(name), depth + 1));
                }
            }
        }
        if all { Ok(()) } else { Err(self.too_many()) }
    }

    fn too_many(&self) -> io::Error {
        io::Error::new(io::ErrorKind::StorageFull, format!("there are more than {} folders", self.most))
    }

    /// Follows a new folder below a root; and that one only if it still is one, by way of no link.
    fn follow_new(&mut self, path: &Path) {
        let Some(root) = self.roots.iter().filter(|root| path.starts_with(root)).max().cloned() else { return };
        let Ok(below) = path.strip_prefix(&root) else { return };
        let depth = below.components().count();
        // A root itself is followed when it is looked at.
        if depth == 0 || depth > MAX_DEPTH || below.components().any(|name| is_hidden(name.as_os_str())) {
            return;
        }
        let Ok(folder) = Folder::open(&root).and_then(|root| root.folder(below)) else { return };
        if let Err(error) = self.add_all(&folder, depth) {
            self.cannot_follow(&root, &error);
        }
    }

    /// What happened since the last time.
    fn news(&mut self) -> Option<News> {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut events = Vec::new();
        let inotify = Arc::clone(&self.inotify);
        let mut reader = Reader::new(&*inotify, &mut buffer);
        let mut lost = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsString::from_vec(name.to_bytes().to_owned()));
                    events.push((event.wd(), event.events(), name));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    tracing::warn!("inotify: {errno}");
                    lost = true;
                    break;
                }
            }
            // What comes faster than it is looked at waits in the kernel.
            if reader.is_buffer_empty() && events.len() > 1000 {
                break;
            }
        }
        let mut paths = Vec::new();
        // Each once, however often it was moved.
        let mut folders: BTreeMap<PathBuf, bool> = BTreeMap::new();
        for (number, what, name) in events {
            lost |= what.contains(ReadFlags::QUEUE_OVERFLOW);
            let folder = if what.contains(ReadFlags::IGNORED) {
                self.paths.remove(&number)
            } else {
                self.paths.get(&number).cloned()
            };
            let Some(path) = folder.map(|folder| name.map_or_else(|| folder.clone(), |name| folder.join(name))) else {
                continue;
            };
            if !self.roots.iter().any(|root| path.starts_with(root)) {
                continue;
            }
            // Two names may have been exchanged: there may be a folder where one was moved away.
            let moved = ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO;
            if what.contains(ReadFlags::ISDIR) && what.intersects(moved | ReadFlags::CREATE) {
                *folders.entry(path.clone()).or_default() |= what.intersects(moved);
            }
            paths.push(path);
        }
        if lost {
            // Folders may have been made that nobody told of, and others moved away.
            let roots = self.roots.clone();
            roots.iter().for_each(|root| self.forget(root));
            roots.iter().for_each(|root| self.follow(root));
            return Some(News::Anything);
        }
        for (path, moved) in &folders {
            if *moved {
                self.forget(path);
            }
        }
        // What is in another one is found with that.
        let is_inner = |path: &Path| path.ancestors().skip(1).any(|outer| folders.contains_key(outer));
        for path in folders.keys().filter(|path| !is_inner(path)) {
            self.follow_new(path);
        }
        (!paths.is_empty()).then_some(News::Paths(paths))
    }
}

/// Reads what happens in a thread of its own, until the other end of a pipe is closed.
///
/// # Errors
/// When there is no thread to be had.
pub fn read(tree: Tree, until: OwnedFd, told: impl Fn(News) + Send + 'static) -> io::Result<Arc<Mutex<Tree>>> {
    let inotify = Arc::clone(&tree.inotify);
    let tree = Arc::new(Mutex::new(tree));
    let shared = Arc::clone(&tree);
    std::thread::Builder::new().name("inotify".to_owned()).spawn(move || {
        loop {
            let mut both = [PollFd::new(&*inotify, PollFlags::IN), PollFd::new(&until, PollFlags::IN)];
            match poll(&mut both, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => {
                    tracing::error!("inotify: {errno}");
                    std::process::exit(1);
                }
            }
            if !both[1].revents().is_empty() {
                return;
            }
            // It is followed before it is told, so that nothing happens in between unseen.
            let news = shared.lock().unwrap_or_else(PoisonError::into_inner).news();
            if let Some(news) = news {
                told(news);
            }
        }
    })?;
    Ok(tree)
}
