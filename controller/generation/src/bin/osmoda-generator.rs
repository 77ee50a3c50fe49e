//! systemd generator (systemd.generator(7)): links the units of the active generation, or at boot of the committed one,
//! so that every daemon-reload sees one whole generation and a reboot the committed one, with no daemon's help.

use std::{fs, io, os::unix::fs::symlink, path::Path, process::ExitCode};

/// The active generation; the boot default when there is none yet.
const GENERATIONS: [&str; 2] = ["/run/osmoda/generation", "/nix/var/nix/profiles/osmoda"];

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("osmoda-generator: systemd calls this with three folders");
        return ExitCode::FAILURE;
    };
    let Some(generation) = GENERATIONS.iter().find_map(|link| fs::canonicalize(link).ok()) else {
        return ExitCode::SUCCESS;
    };
    match link_all(&generation.join("units"), Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("osmoda-generator: {}: {error}", generation.display());
            ExitCode::FAILURE
        }
    }
}

/// Links every file; folders (`<target>.wants`) are made anew with links in them.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    fs::create_dir_all(to)?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_all(&entry.path(), &target)?;
        } else {
            symlink(fs::canonicalize(entry.path())?, target)?;
        }
    }
    Ok(())
}
