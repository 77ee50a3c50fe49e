//! The Nix archive format.
