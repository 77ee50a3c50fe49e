//! Documents that come over an API instead of a file: they are written to `desired/api/<Kind>/<name>.json`, owned by the
//! caller, and from there on go the way of all documents.
//!
//! Authors may be able to write in `desired`, and they are who calls: the folders are held open while a document is
//! written, and are ours alone, so that nobody puts another file, or another folder, in its way.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, fchown},
    },
    path::{Path, PathBuf},
};

use osmoda_failpoint as failpoint;
use osmoda_schemas::{
    document,
    object::{API_VERSION, Author, Kind, Object, ObjectRef},
    ops::common::Accepted,
    problem::Problem,
};
use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, flock, mkdirat, openat, renameat, statat, unlinkat},
    io::Errno,
};
use serde_json::{Value, json};

/// Mode of the folders.
const FOLDER_MODE: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);
/// Mode of the documents.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH);

/// Where the document of an object is, or would be.
#[must_use]
pub fn file_of(state_dir: &Path, object: &ObjectRef) -> PathBuf {
    state_dir.join("desired/api").join(object.kind.as_str()).join(file_name(object))
}

/// Reads an object from what a call says of it.
///
/// # Errors
/// What is wrong with it.
pub fn object(kind: Kind, name: &osmoda_schemas::name::Name, spec: &Value) -> Result<Object, Problem> {
    let text =
        json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": { "name": name }, "spec": spec }).to_string();
    let mut documents = document::read(Path::new("request"), text.as_bytes());
    match documents.pop().map(|d| d.result) {
        Some(Ok(object)) => Ok(object),
        Some(Err(refusal)) => {
            let mut problems = refusal.problems.into_iter().map(|mut p| {
                // Places in a text that nobody wrote help nobody.
                p.source = None;
                p
            });
            let mut first = problems.next().expect("a refusal has a problem");
            first.errors = problems.collect();
            Err(first)
        }
        None => Err(Problem::new(422, "not-a-document", "the request describes nothing")),
    }
}

/// Writes an object's document, durably, in the name of its author.
///
/// # Errors
/// When another author's document is there, or it cannot be written.
pub fn put(state_dir: &Path, object: &Object, author: Author) -> Result<Accepted, Problem> {
    let reference = object.reference();
    let file = file_of(state_dir, &reference);
    let folder = KindFolder::make(state_dir, reference.kind)?;
    let _lock = folder.lock().map_err(|e| cannot_write(&file, e))?;
    folder.check_owner(&file, &reference, author)?;
    folder.write(&reference, pretty(object).as_bytes(), author).map_err(|e| cannot_write(&file, e))?;
    Ok(Accepted { object: reference, file: file.display().to_string() })
}

/// Removes an object's document.
///
/// # Errors
/// When there is none, or it is another author's.
pub fn remove(state_dir: &Path, object: &ObjectRef, author: Author) -> Result<Accepted, Problem> {
    let file = file_of(state_dir, object);
    let missing = || {
        Problem::new(404, "no-such-document", format!("no document of {object} came over an API"))
            .hint("an object that a file defines is removed by removing its document from that file")
    };
    let folder = KindFolder::find(state_dir, object.kind)?.ok_or_else(missing)?;
    let _lock = folder.lock().map_err(|e| cannot_write(&file, e))?;
    if !folder.check_owner(&file, object, author)? {
        return Err(missing());
    }
    failpoint::may_fail("document.remove", object).map_err(|e| cannot_write(&file, e))?;
    let gone = unlinkat(&folder.fd, file_name(object), AtFlags::empty()).and_then(|()| rustix::fs::fsync(&folder.fd));
    gone.map_err(|e| cannot_write(&file, e))?;
    failpoint::after("document.remove", object);
    Ok(Accepted { object: object.clone(), file: file.display().to_string() })
}

/// The folder of a kind's documents, held open.
struct KindFolder {
    fd: OwnedFd,
}

impl KindFolder {
    /// Opens it; it is made when it is missing.
    fn make(state_dir: &Path, kind: Kind) -> Result<Self, Problem> {
        let path = state_dir.join("desired");
        fs::create_dir_all(&path).map_err(|e| cannot_write(&path, e))?;
        Self::open(path, kind, true)?
            .ok_or_else(|| cannot_write(state_dir, "a folder vanished while it was written to"))
    }

    /// Opens it; none when there is no such folder.
    fn find(state_dir: &Path, kind: Kind) -> Result<Option<Self>, Problem> {
        Self::open(state_dir.join("desired"), kind, false)
    }

    fn open(mut path: PathBuf, kind: Kind, make: bool) -> Result<Option<Self>, Problem> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Where this one is, is the operator's choice: it may be a link.
        let mut fd = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(cannot_write(&path, errno)),
        };
        for name in ["api", kind.as_str()] {
            path.push(name);
            if make {
                match mkdirat(&fd, name, FOLDER_MODE).and_then(|()| rustix::fs::fsync(&fd)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(cannot_write(&path, errno)),
                }
            }
            fd = match openat(&fd, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(not_ours(&path, "is a link or a file")),
                Err(errno) => return Err(cannot_write(&path, errno)),
            };
            let stat = rustix::fs::fstat(&fd).map_err(|e| cannot_write(&path, e))?;
            if stat.st_uid != rustix::process::geteuid().as_raw() {
                return Err(not_ours(&path, &format!("belongs to uid:{}", stat.st_uid)));
            }
            if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
                return Err(not_ours(&path, "may be written by others"));
            }
        }
        Ok(Some(Self { fd }))
    }

    /// Keeps other calls, also of other daemons, from writing here: between looking whose document is there and replacing
    /// it nothing changes. The lock is a file that nobody else may open.
    fn lock(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = openat(&self.fd, ".lock", flags, Mode::RUSR | Mode::WUSR)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        Ok(lock)
    }

    /// Whether there is a document, and that this author may change it.
    fn check_owner(&self, file: &Path, object: &ObjectRef, author: Author) -> Result<bool, Problem> {
        match statat(&self.fd, file_name(object), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if author.uid != 0 && stat.st_uid != author.uid => {
                let detail = format!("{object} belongs to uid:{}", stat.st_uid);
                Err(Problem::new(403, "not-your-object", detail).hint("its author or root may change it"))
            }
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(cannot_write(file, errno)),
        }
    }

    /// Replaces a document in one step.
    fn write(&self, object: &ObjectRef, text: &[u8], author: Author) -> io::Result<()> {
        let new = format!(".{}.new", object.name);
        match unlinkat(&self.fd, &new, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut out = File::from(openat(&self.fd, &new, flags, FILE_MODE)?);
        // Before there is anything in it: what it says was never said by us.
        if out.metadata()?.uid() != author.uid {
            fchown(&out, Some(author.uid), None)?;
        }
        out.write_all(text)?;
        out.sync_all()?;
        failpoint::may_fail("document.write", object)?;
        renameat(&self.fd, &new, &self.fd, file_name(object))?;
        failpoint::after("document.write", object);
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

fn file_name(object: &ObjectRef) -> String {
    format!("{}.json", object.name)
}

fn cannot_write(path: &Path, error: impl std::fmt::Display) -> Problem {
    Problem::new(507, "cannot-write", format!("{}: {error}", path.display()))
}

fn not_ours(path: &Path, why: &str) -> Problem {
    let detail = format!("{} {why}, so documents from the API are not kept in it", path.display());
    Problem::new(409, "folder-not-ours", detail).hint(format!(
        "move it away, and it is made anew; or make it a folder of the daemon's own user with mode 0755: {}",
        path.display()
    ))
}

fn pretty(object: &Object) -> String {
    serde_json::to_string_pretty(object).expect("an object is JSON") + "\n"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    fn app() -> Object {
        object(Kind::App, &"web".parse().unwrap(), &json!({ "command": ["/bin/sleep", "1"] })).unwrap()
    }

    fn us() -> Author {
        Author { uid: rustix::process::geteuid().as_raw() }
    }

    fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn a_document_is_written_replaced_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let reference = app().reference();
        let file = file_of(dir.path(), &reference);
        assert_eq!(remove(dir.path(), &reference, us()).unwrap_err().code, "no-such-document");
        assert!(!dir.path().join("desired").exists());
        for _ in 0..2 {
            put(dir.path(), &app(), us()).unwrap();
            let meta = file.metadata().unwrap();
            assert_eq!((meta.uid(), meta.mode() & 0o777), (us().uid, 0o644));
        }
        remove(dir.path(), &reference, us()).unwrap();
        assert!(!file.exists());
        assert_eq!(remove(dir.path(), &reference, us()).unwrap_err().code, "no-such-document");
    }

    #[test]
    fn a_document_belongs_to_its_author() {
        if !is_root() {
            eprintln!("SKIPPED: files of others are made by root only");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (theirs, other) = (Author { uid: 4242 }, Author { uid: 4243 });
        put(dir.path(), &app(), theirs).unwrap();
        put(dir.path(), &app(), theirs).unwrap();
        assert_eq!(file_of(dir.path(), &app().reference()).metadata().unwrap().uid(), 4242);
        assert_eq!(put(dir.path(), &app(), other).unwrap_err().code, "not-your-object");
        assert_eq!(remove(dir.path(), &app().reference(), other).unwrap_err().code, "not-your-object");
        remove(dir.path(), &app().reference(), theirs).unwrap();
    }

    #[test]
    fn links_lead_nowhere() {
        for link in ["desired/api", "desired/api/App"] {
            let dir = tempfile::tempdir().unwrap();
            let (other, link) = (dir.path().join("other"), dir.path().join(link));
            fs::create_dir_all(other.join("App")).unwrap();
            fs::write(other.join("web.json"), "kept").unwrap();
            fs::write(other.join("App/web.json"), "kept").unwrap();
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(&other, &link).unwrap();
            for problem in [put(dir.path(), &app(), us()), remove(dir.path(), &app().reference(), us())] {
                let problem = problem.unwrap_err();
                assert_eq!((problem.status, &*problem.code), (409, "folder-not-ours"));
                assert!(problem.detail.starts_with(&*link.to_string_lossy()), "{problem}");
            }
            for kept in ["web.json", "App/web.json"] {
                assert_eq!(fs::read_to_string(other.join(kept)).unwrap(), "kept");
            }
        }
        // A link in place of the half-written file is replaced, not written through.
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &app(), us()).unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, file_of(dir.path(), &app().reference()).with_file_name(".web.new")).unwrap();
        put(dir.path(), &app(), us()).unwrap();
        assert_eq!(fs::read_to_string(victim).unwrap(), "kept");
    }

    #[test]
    fn folders_that_others_may_write_in_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), &app(), us()).unwrap();
        for folder in ["desired/api", "desired/api/App"] {
            let folder = dir.path().join(folder);
            let refused = || {
                let problem = put(dir.path(), &app(), us()).unwrap_err();
                assert_eq!(problem.code, "folder-not-ours");
                assert!(problem.detail.starts_with(&format!("{} ", folder.display())), "{problem}");
            };
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o775)).unwrap();
            refused();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
            if is_root() {
                chown(&folder, Some(4242), None).unwrap();
                refused();
                chown(&folder, Some(0), None).unwrap();
            }
        }
        put(dir.path(), &app(), us()).unwrap();
    }
}
