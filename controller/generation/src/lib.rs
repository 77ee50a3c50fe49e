//! Rendered trees, plans, the Nix store, profiles, closures and garbage-collection roots.
