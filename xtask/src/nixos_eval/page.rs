//! docs/options.md, from the options themselves.

use serde::Deserialize;

/// An option that users see.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Documented {
    name: String,
    r#type: String,
    description: String,
    /// As Nix.
    default: Option<String>,
    /// As Nix.
    example: Option<String>,
}

const HEAD: &str = "# Options of the NixOS module

`services.osmoda.*`. This page is written by `cargo xtask nixos-eval --write` from the options themselves; how to use them
is told in [nixos.md](nixos.md), and what documents may say in [kinds](kinds/README.md).
";

/// The page.
pub fn page(options: &[Documented]) -> String {
    let mut text = HEAD.to_owned();
    for option in options {
        text += &format!("\n## `{}`\n\n{}\n\n- type: {}\n", option.name, option.description.trim(), option.r#type);
        for (what, value) in [("default", &option.default), ("example", &option.example)] {
            if let Some(value) = value {
                text += &shown(what, value.trim());
            }
        }
    }
    text
}

/// A line, or a block when it needs more.
fn shown(what: &str, value: &str) -> String {
    let line = value.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    // A list of short texts; a longer value has lines for a reason.
    if !value.contains('\n') || line.len() <= 80 && line.starts_with('[') {
        return format!("- {what}: `{line}`\n");
    }
    let indented: Vec<String> =
        value.lines().map(|line| if line.is_empty() { String::new() } else { format!("  {line}") }).collect();
    format!("- {what}:\n  ```nix\n{}\n  ```\n", indented.join("\n"))
}
