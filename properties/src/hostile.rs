//! Values that have broken something somewhere.

use arbitrary::{Result, Unstructured};

/// What would be seen in a unit file if a value ended its line.
pub const INJECTED: &str = "Injected";

const TEXTS: &[&str] = &[
    "",
    "x",
    "1",
    "true",
    "~",
    "- x",
    "a: b # c",
    " x ",
    "\t",
    "\\",
    "x\\",
    "\"",
    "'",
    "\"x\" 'y'",
    ";",
    "\\;",
    "%n%%i",
    "$HOME ${HOME} $$",
    "$MAINPID",
    "${runtime}",
    "${state}/x",
    "${",
    "x\nInjected=1",
    "x\n[Injected]\nInjected=1\n",
    "x\rInjected=1",
    "x\r\nInjected=1",
    "x\\\nInjected=1",
    "x\u{85}Injected=1",
    "x\u{2028}Injected=1",
    "\nInjected=1",
    "[Injected]",
    "\u{0}Injected=1",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{feff}",
    "ü€🦀",
    "/nix/store/00000000000000000000000000000000-x",
    "../../etc/cron.d/x",
    "@x",
    "-x",
    "+x",
    "!x",
    ":x",
    "#x",
];

/// One of them, or any other short text.
pub fn text(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(match u.ratio(1, 4)? {
        true => u.arbitrary::<&str>()?.chars().take(24).collect(),
        false => (*u.choose(TEXTS)?).to_owned(),
    })
}
