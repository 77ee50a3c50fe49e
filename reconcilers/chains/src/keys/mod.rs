//! Secret and public keys, and signatures that are verified before they are given out. Keys are wiped when dropped; what
//! the libraries of the curves put on the stack while they reckon is not (see the crate's page).

pub mod ed25519;
pub mod secp256k1;
