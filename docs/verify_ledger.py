#!/usr/bin/env python3
"""Checks an osModa ledger without any of osModa's code.

usage: verify_ledger.py FOLDER [PUBLIC-KEY]      e.g. verify_ledger.py /var/lib/osmoda/ledger

Exit status: 0 the ledger is whole, 1 it is not. Signatures need the Python package `cryptography`; without it this says
that they were not checked. PUBLIC-KEY is a copy of checkpoint.pub that you kept elsewhere.
"""
import base64, hashlib, pathlib, sqlite3, sys

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None

folder = pathlib.Path(sys.argv[1])
problems = []

# Checkpoints: notes of four lines (origin, row, hash, time), an empty line, a signature line, an empty line.
checkpoints = {}
key_text = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else folder / "checkpoint.pub").read_text().strip()
name, key_id, key = key_text.split("+", 2)
key = base64.b64decode(key)
if key_id != hashlib.sha256(name.encode() + b"\n" + key).hexdigest()[:8] or key[0] != 1:
    problems.append("the public key does not have its id")
notes = (folder / "checkpoints").read_text() if (folder / "checkpoints").exists() else ""
parts = notes.split("\n\n")[:-1]
for text, signature in zip(parts[0::2], parts[1::2]):
    text += "\n"
    origin, row, digest, _time = text.splitlines()
    raw = base64.b64decode(signature.removeprefix("\u2014 " + name + " "))
    if origin != "osmoda ledger" or raw[:4].hex() != key_id:
        problems.append(f"the checkpoint of row {row} is not signed by the key")
        continue
    if Ed25519PublicKey:
        try:
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(raw[4:], text.encode())
        except InvalidSignature:
            problems.append(f"the checkpoint of row {row} is not signed by the key")
            continue
    checkpoints[int(row)] = base64.b64decode(digest).hex()

# Rows: each hash is SHA-256 of id|ts|type|actor|payload|prev_hash, each prev_hash the hash of the row before.
db = sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True)
previous, last = "0" * 64, 0
for id, ts, kind, actor, payload, prev_hash, stored in db.execute(
    "SELECT id, ts, type, actor, payload, prev_hash, hash FROM events ORDER BY id"
):
    computed = hashlib.sha256(f"{id}|{ts}|{kind}|{actor}|{payload}|{prev_hash}".encode()).hexdigest()
    if id != last + 1:
        problems.append(f"rows {last + 1} to {id - 1} are missing")
    if prev_hash != previous:
        problems.append(f"row {id} does not follow from the row before")
    if stored != computed:
        problems.append(f"row {id} does not have its hash")
    if checkpoints.get(id, computed) != computed:
        problems.append(f"row {id} is not the one that a checkpoint was signed for")
    if any("|" in word or any(ord(c) < 32 for c in word) for word in (ts, kind, actor)):
        problems.append(f"row {id} has an ambiguous time, type or actor")
    previous, last = computed, id
written = db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'").fetchone()[0] or 0
if max([written, *checkpoints]) > last:
    problems.append(f"rows after {last} are missing")

for problem in problems[:20]:
    print("DAMAGED:", problem)
signed = f"{len(checkpoints)} checkpoints" if Ed25519PublicKey else "SIGNATURES NOT CHECKED (no `cryptography`)"
print(f"{'damaged' if problems else 'whole'}: {last} events, {signed}")
sys.exit(1 if problems else 0)
