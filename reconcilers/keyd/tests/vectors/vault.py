"""Writes the vault of `tests/vault.rs` by what docs/keyd.md says, with none of osModa's code: `python3 vault.py`, with
`cryptography` 44 or later, prints `FILE HEX` lines. Salts and nonces are fixed here, which no real vault may have."""

import struct

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PASSPHRASE = b"correct horse battery staple"


def kdf_of(memory, passes, lanes, salt):
    master = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(PASSPHRASE)
    return AESGCM(master), struct.pack(">III", memory, passes, lanes) + salt


def seal(gcm, associated, nonce, secret):
    return associated + nonce + gcm.encrypt(nonce, secret, associated)


def vault(rotation, cost):
    gcm, kdf = kdf_of(*cost, salt=bytes(range(16)))
    print("vault", seal(gcm, b"osmoda-vault-v1\n" + kdf + struct.pack(">Q", rotation), b"\x01" * 12, bytes(32)).hex())

    def key(name, chain, public, origin, nonce, secret):
        text = name.encode()
        associated = b"osmoda-key-v1\n" + bytes([len(text)]) + text + bytes([chain]) + public + origin
        print(name + ".key", seal(gcm, associated, nonce, secret).hex())

    # The key of EIP-155's example.
    secret = b"\x46" * 32
    public = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256K1()).public_key()
    key("eth", 1, public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint), b"\x02", b"\x02" * 12, secret)

    # RFC 8032, 7.1, test 2, as if it came from m/44'/501'/0'/0'.
    secret = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = ed25519.Ed25519PrivateKey.from_private_bytes(secret).public_key()
    path = b"\x03\x04" + b"".join(struct.pack(">I", 1 << 31 | step) for step in (44, 501, 0, 0))
    key("sol", 2, public.public_bytes(Encoding.Raw, PublicFormat.Raw), path, b"\x03" * 12, secret)


if __name__ == "__main__":
    vault(5, (64 * 1024, 3, 1))
