"""Other implementations of what the crate does: one request a line, one answer a line, both JSON.

Needs eth-account and solders (PyPI), and coincurve unless time does not matter.
"""

import json
import struct
import sys
from importlib.metadata import version

from eth_account import Account
from eth_account.messages import encode_defunct, encode_typed_data
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.token.associated import get_associated_token_address
from solders.transaction import Transaction, VersionedTransaction

Account.enable_unaudited_hdwallet_features()


def hx(data):
    return bytes(data).hex()


def un(text):
    return bytes.fromhex(text)


def transaction(request):
    tx = dict(request["tx"])
    if "authorizationList" in tx:
        signed = []
        for key, auth in zip(request["authorities"], tx["authorizationList"]):
            signed.append(Account.sign_authorization(auth, key))
        tx["authorizationList"] = signed
    signed = Account.sign_transaction(tx, request["key"])
    return {"raw": hx(signed.raw_transaction), "hash": hx(signed.hash)}


def personal(request):
    message = encode_defunct(primitive=un(request["message"]))
    return {"signature": hx(Account.sign_message(message, request["key"]).signature)}


def typed_data(request):
    message = encode_typed_data(full_message=json.loads(request["text"]))
    signed = Account.sign_message(message, request["key"])
    return {"signature": hx(signed.signature), "hash": hx(signed.message_hash)}


def account(request):
    found = Account.from_mnemonic(request["words"], request["passphrase"], request["path"])
    return {"address": found.address, "key": hx(found.key)}


def instruction(item):
    metas = [AccountMeta(Pubkey(un(key)), signs, writes) for key, signs, writes in item["accounts"]]
    return Instruction(Pubkey(un(item["program"])), un(item["data"]), metas)


def legacy(request):
    keys = [Keypair.from_seed(un(seed)) for seed in request["seeds"]]
    instructions = [instruction(item) for item in request["instructions"]]
    blockhash = Hash(un(request["blockhash"]))
    message = Message.new_with_blockhash(instructions, keys[0].pubkey(), blockhash)
    signed = Transaction.new_unsigned(message)
    signed.partial_sign(keys, blockhash)
    return {"raw": hx(bytes(signed))}


def versioned(request):
    keys = [Keypair.from_seed(un(seed)) for seed in request["seeds"]]
    instructions = [instruction(item) for item in request["instructions"]]
    tables = [
        AddressLookupTableAccount(Pubkey(un(table["key"])), [Pubkey(un(key)) for key in table["addresses"]])
        for table in request["tables"]
    ]
    message = MessageV0.try_compile(keys[0].pubkey(), instructions, tables, Hash(un(request["blockhash"])))
    by_key = {key.pubkey(): key for key in keys}
    needed = message.account_keys[: message.header.num_required_signatures]
    return {"raw": hx(bytes(VersionedTransaction(message, [by_key[key] for key in needed])))}


def offchain(request):
    # Solders has no such messages: the bytes are written here as the proposal's table has them, and it signs them.
    keys = [Keypair.from_seed(un(seed)) for seed in request["seeds"]]
    text = request["text"].encode()
    length = 16 + 1 + 32 + 1 + 1 + 32 * len(keys) + 2 + len(text)
    printed = all(0x20 <= byte <= 0x7E for byte in text)
    kind = 2 if length > 1232 else 0 if printed else 1
    head = b"\xffsolana offchain" + struct.pack("<B32sBB", 0, un(request["application"]), kind, len(keys))
    body = b"".join(bytes(key.pubkey()) for key in keys) + struct.pack("<H", len(text)) + text
    return {"raw": hx(head + body), "signatures": [hx(bytes(key.sign_message(head + body))) for key in keys]}


def derived(request):
    seeds = [un(seed) for seed in request["seeds"]]
    found, bump = Pubkey.find_program_address(seeds, Pubkey(un(request["program"])))
    kept = get_associated_token_address(
        Pubkey(un(request["owner"])), Pubkey(un(request["mint"])), Pubkey(un(request["program"]))
    )
    curve = Pubkey(un(request["owner"])).is_on_curve()
    return {"address": str(found), "bump": bump, "kept": str(kept), "curve": curve}


def hello(_request):
    return {name: version(name) for name in ("eth-account", "solders")}


def main():
    known = (transaction, personal, typed_data, account, legacy, versioned, offchain, derived, hello)
    by_name = {function.__name__: function for function in known}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = by_name[request["do"]](request)
        except Exception as error:  # The test tells which request it was.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
