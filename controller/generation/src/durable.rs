//! Files and links that are there after a power cut, or are as they were.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::symlink,
    path::Path,
};

use osmoda_failpoint as failpoint;

/// Points a link to `target` in one step.
///
/// # Errors
/// When the folder cannot be written.
pub fn set_link(link: &Path, target: &Path) -> io::Result<()> {
    let new = sibling(link);
    let _ = fs::remove_file(&new);
    symlink(target, &new)?;
    failpoint::may_fail("durable.link", link.display())?;
    fs::rename(&new, link)?;
    failpoint::after("durable.link", link.display());
    sync_folder(link)
}

/// Removes a file or link if it is there.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    failpoint::may_fail("durable.remove", path.display())?;
    match fs::remove_file(path) {
        Ok(()) => {
            failpoint::after("durable.remove", path.display());
            sync_folder(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Replaces a file in one step.
///
/// # Errors
/// When it cannot be written; it is as it was then.
pub fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let new = sibling(path);
    let mut file = create_anew(&new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    failpoint::may_fail("durable.write", path.display())?;
    fs::rename(&new, path)?;
    failpoint::after("durable.write", path.display());
    sync_folder(path)
}

/// Makes a file that was not there. What has its name is removed, not written to: it may be a link to something dear.
///
/// # Errors
/// When it cannot be made, or somebody else has made it meanwhile.
pub fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::options().write(true).create_new(true).open(path),
    }
}

fn sibling(path: &Path) -> std::path::PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    path.with_file_name(name)
}

fn sync_folder(of: &Path) -> io::Result<()> {
    File::open(of.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_through_a_link_that_has_the_name_of_what_is_half_written() {
        let dir = tempfile::tempdir().unwrap();
        let (dear, file, link) = (dir.path().join("dear"), dir.path().join("record.json"), dir.path().join("link"));
        let (new, new_link) = (sibling(&file), sibling(&link));
        for plant in [symlink::<&Path, &Path>, fs::hard_link::<&Path, &Path>] {
            fs::write(&dear, "kept").unwrap();
            plant(&dear, &new).unwrap();
            write(&file, b"new").unwrap();
            plant(&dear, &new_link).unwrap();
            set_link(&link, &file).unwrap();
            assert_eq!(fs::read_to_string(&dear).unwrap(), "kept");
            assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        }
        // Nor waited for a reader, when it is a pipe.
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &new,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        write(&file, b"newer").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "newer");
    }
}
