//! The properties that are fuzzed, on the seeds of the fuzz targets and on what is made of them.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod shared;

use std::{fs, path::Path};

use osmoda_properties::{bodies, chains, cron, documents, ledger, plans};
use proptest::prelude::*;
use shared::{cases, question};

/// What fuzzing starts from, and what it has found: each has to pass.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders = vec![root.join("fuzz/seeds").join(target)];
    if target == "documents" {
        folders.extend([root.join("schemas/examples"), root.join("schemas/examples/nixos")]);
    }
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target} has no seeds");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

type Property = fn(&[u8]);

#[test]
fn what_fuzzing_starts_from_passes() {
    let targets: [(&str, Property); 7] = [
        ("bodies", bodies::check),
        ("chain-bytes", chains::bytes),
        ("chain-texts", chains::text),
        ("cron", cron::check),
        ("documents", documents::check),
        ("ledger", ledger::check),
        ("plans", plans::check),
    ];
    for (target, check) in targets {
        seeds(target).iter().for_each(|seed| check(seed));
    }
}

/// Bytes that are shown as text.
#[derive(Clone)]
struct Bytes(Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Pieces that mean something to a reader.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let tokens = [
        "",
        "\0",
        "\t",
        "\r\n",
        "\r",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "&a ",
        "*a",
        "!!str ",
        "---\n",
        "...\n",
        "#",
        "\"",
        "'",
        "|\n",
        ">-\n",
        "%YAML 3\n",
        "? ",
        "\u{feff}",
        "\u{85}",
        "\u{2028}",
        "ü",
        "null",
        "-1",
        "1e999",
        "0x",
        "~",
    ];
    prop_oneof![
        3 => prop::sample::select(tokens.to_vec()).prop_map(|token| token.as_bytes().to_vec()),
        1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

/// A seed with pieces put into it, over it, and cut out of it.
fn mutated(target: &str) -> impl Strategy<Value = Bytes> + use<> {
    let change = (any::<prop::sample::Index>(), 0..8_usize, piece());
    let cut = prop::option::weighted(0.1, any::<prop::sample::Index>());
    (prop::sample::select(seeds(target)), prop::collection::vec(change, 0..6), cut).prop_map(
        |(mut bytes, changes, cut)| {
            for (at, length, new) in changes {
                let from = at.index(bytes.len() + 1);
                bytes.splice(from..(from + length).min(bytes.len()), new);
            }
            bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len() + 1)));
            Bytes(bytes)
        },
    )
}

fn noise(most: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..most).prop_map(Bytes)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn documents_of_any_bytes(bytes in noise(512)) {
        documents::check(&bytes.0);
    }

    #[test]
    fn documents_of_any_pieces(pieces in prop::collection::vec(piece(), 0..64)) {
        documents::check(&pieces.concat());
    }

    #[test]
    fn documents_that_were_right(bytes in mutated("documents")) {
        documents::check(&bytes.0);
    }

    #[test]
    fn cron_expressions(question in question()) {
        cron::check(question.as_bytes());
    }

    #[test]
    fn cron_expressions_that_were_right(bytes in mutated("cron")) {
        cron::check(&bytes.0);
    }

    #[test]
    fn bytes_of_chains_that_were_right(bytes in mutated("chain-bytes")) {
        chains::bytes(&bytes.0);
    }

    #[test]
    fn texts_of_chains_that_were_right(bytes in mutated("chain-texts")) {
        chains::text(&bytes.0);
    }

    #[test]
    fn bodies_that_were_right(bytes in mutated("bodies")) {
        bodies::check(&bytes.0);
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn plans_of_any_objects(bytes in noise(2048)) {
        plans::check(&bytes.0);
    }

    #[test]
    fn bodies_of_their_schemas(bytes in noise(256)) {
        bodies::check(&bytes.0);
    }

    #[test]
    fn ledgers_that_somebody_touched(bytes in noise(48)) {
        ledger::check(&bytes.0);
    }
}
