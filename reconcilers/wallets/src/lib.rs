//! Wallet policies: rendering of keyd's slice.
