//! What a wallet daemon reads of strangers: bytes and texts of Ethereum and Solana. The promises are those of the crate.

use osmoda_chains::promise;

/// All that has to hold for bytes that may be a transaction, a message, a call or an authorization.
pub fn bytes(bytes: &[u8]) {
    assert!(promise::bytes(bytes), "b\"{}\"", bytes.escape_ascii());
}

/// All that has to hold for a text that may be typed data, an address, a path, a number, words or an extended key.
pub fn text(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert!(promise::text(text), "{text:?}");
    }
}
