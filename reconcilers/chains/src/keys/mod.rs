//! Secret and public keys, and signatures that are verified before they are given out.

pub mod ed25519;
pub mod secp256k1;
