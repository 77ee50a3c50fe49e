//! Unit files, written: quoting ([`UnitText`]), and what a trust tier means in systemd's words ([`Program`]).

mod program;
mod text;

pub use program::{Program, SandboxWarning};
pub use text::{UnitText, command_line, literal};
