//! What the daemons say of their calls, checked by somebody else's validator.

use std::{
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Error};
use machine_suites::Host;

use crate::host::{as_root, need, run};

/// Why a check did not pass.
#[derive(Debug)]
pub enum Failure {
    /// A description is not valid.
    Invalid(Error),
    /// The validator cannot be had.
    NoValidator(Error),
}

/// Fetches `/openapi.json` of every daemon and has `openapi-spec-validator` (PyPI) look at it.
///
/// # Errors
/// When one is not valid, or the validator cannot be had.
pub fn collect_and_validate(host: Host<'_>) -> Result<(), Failure> {
    // Machines are tested side by side, and share the folder.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = crate::root().join("target/openapi");
    let venv = folder.join("venv");
    let validator = venv.join("bin/openapi-spec-validator");
    let ready = || -> anyhow::Result<()> {
        std::fs::create_dir_all(&folder)?;
        if !validator.exists() {
            need(&[
                ("/usr/share/python-wheels", "python3-venv"),
                ("/usr/lib/python3/dist-packages/pip", "python3-pip"),
            ])
            .or_else(|_| need(&[("python3", "python3")]))?;
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            run(Command::new(venv.join("bin/pip")).args(["install", "--quiet", "openapi-spec-validator==0.7.1"]))?;
        }
        Ok(())
    };
    ready().map_err(Failure::NoValidator)?;
    let check = || -> anyhow::Result<()> {
        for daemon in ["agentd", "watch", "routines", "witness"] {
            let socket = format!("/run/osmoda/{daemon}.sock");
            let text =
                host.run(&["/usr/bin/curl", "-sf", "--unix-socket", &socket, "http://localhost/openapi.json"])?;
            let file = folder.join(format!("{daemon}.json"));
            // An earlier run by root may have left it.
            let _ = run(as_root("rm").arg("-f").arg(&file));
            std::fs::write(&file, text)?;
            run(Command::new(&validator).arg(&file)).with_context(|| format!("the description of {daemon}"))?;
        }
        Ok(())
    };
    check().map_err(Failure::Invalid)
}
