//! `osmoda validate`, which needs no daemon.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{fs, process::Command};

#[test]
fn documents_are_judged_for_the_backend_of_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (document, config) = (dir.path().join("time.yaml"), dir.path().join("agentd.yaml"));
    let text =
        "apiVersion: os.moda/v1\nkind: NixosConfig\nmetadata: {name: time}\nspec: {options: {time.timeZone: UTC}}\n";
    fs::write(&document, text).unwrap();
    let validate = |text: &str| {
        fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_osmoda"));
        let output = command.args(["validate", "--config"]).arg(&config).arg(&document).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let authors = "authors: [{user: nobody-here, kinds: [App]}]\n";
    let (code, words) = validate(&format!("backend: profile\n{authors}"));
    assert!(code == Some(2) && words.contains("needs-nixos-backend"), "{words}");
    let (code, words) = validate(&format!("backend: nixos\nnixos: {{flake: /etc/nixos#web}}\n{authors}"));
    assert_eq!(code, Some(0), "{words}");
    let (code, words) = validate("backend: debian\n");
    assert!(code == Some(2) && words.contains("agentd.yaml:1:10"), "{words}");
    fs::remove_file(&config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_osmoda"));
    let output = command.args(["validate", "--config"]).arg(&config).arg(&document).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "a configuration that is not there is not the default one");
}
