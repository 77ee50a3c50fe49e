//! Whatever bytes a file has: reading it ends soon, says what is wrong and where, and keeps what it accepts.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use osmoda_schemas::{
    document::{Document, MAX_FILE_BYTES, read},
    object::{ContentHash, Object},
    problem::Problem,
    rules::{Backend, check_object},
};

/// A document that is right, and stays so whatever stands before or after it.
const GOOD: &str =
    "apiVersion: os.moda/v1\nkind: App\nmetadata:\n  name: good\nspec:\n  command: [/bin/sleep, infinity]\n";
/// Problems of a file as a whole: nothing of it is read.
const WHOLE_FILE: [&str; 4] = ["control-character", "empty-file", "invalid-utf8", "too-large"];

/// All that has to hold for the bytes of a file.
pub fn check(bytes: &[u8]) {
    let started = Instant::now();
    let documents = read(Path::new("any.yaml"), bytes);
    // For machines that are busy with other things; what is not linear takes much longer than that.
    let soon = Duration::from_secs(2) + Duration::from_micros(10) * u32::try_from(bytes.len()).unwrap();
    assert!(started.elapsed() < soon, "it took {:?}", started.elapsed());
    let lines = lines(bytes);
    for document in &documents {
        match &document.result {
            Ok(object) => {
                let broken = check_object(object, Backend::Profile);
                for violation in &broken {
                    placed(&lines, &document.at_field(&violation.field, violation.clone().into_problem()));
                }
                comes_back(object);
                if broken.is_empty() {
                    is_the_same_in_other_words(object);
                }
            }
            Err(refusal) => {
                assert!(!refusal.problems.is_empty(), "a refusal without a reason");
                refusal.problems.iter().for_each(|problem| placed(&lines, problem));
            }
        }
    }
    if bytes.len() + 2 * GOOD.len() < MAX_FILE_BYTES {
        neighbours(bytes, &documents);
    }
}

/// How many characters each line of a text has.
fn lines(bytes: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
    text.split(['\n', '\r']).map(|line| line.chars().count()).collect()
}

/// A problem has a code, words, and a place inside of the text.
fn placed(lines: &[usize], problem: &Problem) {
    let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    assert!(!problem.code.is_empty() && problem.code.chars().all(kebab), "{:?} is no code", problem.code);
    assert!(!problem.detail.is_empty(), "`{}` without words", problem.code);
    let at = problem.source.as_ref().unwrap_or_else(|| panic!("{problem} has no place"));
    let length = (at.line as usize).checked_sub(1).and_then(|line| lines.get(line));
    assert!(length.is_some_and(|length| (1..=length + 1).contains(&(at.column as usize))), "{problem}: {lines:?}");
}

/// The canonical form is read back as the same object with the same hash.
fn comes_back(object: &Object) {
    let canonical = object.canonical_json();
    let again = Object::from_json(&canonical).unwrap_or_else(|error| panic!("{error}: {canonical}"));
    assert_eq!(again, *object, "{canonical}");
    assert_eq!(again.canonical_json(), canonical);
}

/// An admitted object is the same object when its document is written as JSON, or as YAML.
fn is_the_same_in_other_words(object: &Object) {
    let canonical = object.canonical_json();
    let value: serde_json::Value = serde_json::from_str(&canonical).unwrap();
    let forms = [
        canonical.clone(),
        serde_json::to_string_pretty(&value).unwrap(),
        serde_saphyr::to_string(&value).unwrap_or_else(|error| panic!("{error}: {canonical}")),
    ];
    for form in forms {
        let documents = read(Path::new("form.yaml"), form.as_bytes());
        let [Document { result: Ok(again), .. }] = documents.as_slice() else {
            panic!("not one object: {documents:?}\n{form}\n{canonical}");
        };
        let hash = |json: &str| ContentHash::of(json);
        assert_eq!(hash(&again.canonical_json()), hash(&canonical), "{form}\n{canonical}");
    }
}

/// What stands beside a document in a file leaves it as it is.
fn neighbours(bytes: &[u8], documents: &[Document]) {
    let codes = |document: &Document| document.result.as_ref().err().map(|refusal| refusal.problems[0].code.clone());
    let refused: Vec<Option<String>> = documents.iter().map(codes).collect();
    if refused.iter().flatten().any(|code| WHOLE_FILE.contains(&code.as_str())) {
        return;
    }
    let good = read(Path::new("good.yaml"), GOOD.as_bytes()).remove(0).result.unwrap();
    let text = std::str::from_utf8(bytes).unwrap();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let after = read(Path::new("any.yaml"), format!("{GOOD}---\n{text}").as_bytes());
    assert_eq!(after[0].result.as_ref().ok(), Some(&good), "what follows a document spoils it");
    // A text that cannot be read to its end hides what would come after it, and says so. The parser takes a `---` for
    // text behind a block scalar that begins with empty lines and is a document of its own.
    let last_is_text = documents.last().and_then(|d| d.node.as_ref()).is_some_and(|node| node.as_str().is_some());
    if documents.iter().all(|document| document.node.is_some()) && !last_is_text {
        let before = read(Path::new("any.yaml"), format!("{text}\n---\n{GOOD}").as_bytes());
        let found = before.last().and_then(|document| document.result.as_ref().ok());
        assert_eq!(found, Some(&good), "what stands before a document spoils it");
        assert_eq!(before.len(), documents.len() + 1);
        for (alone, together) in documents.iter().zip(&before) {
            assert_eq!(alone.result.as_ref().ok(), together.result.as_ref().ok());
        }
    }
}
