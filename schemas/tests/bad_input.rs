//! Whatever bytes a document has: reading it ends soon, never panics, and says what is wrong and where.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use osmoda_schemas::{
    diagnostics,
    document::{Document, read},
    problem::Problem,
    rules::{Backend, check_object},
};

const APP: &str =
    "apiVersion: os.moda/v1\nkind: App\nmetadata:\n  name: web\nspec:\n  command: [/bin/sleep, infinity]\n";
/// What a text may take. Those of a megabyte take a tenth of it, and less when built with optimisation; the rest is for
/// machines that are busy with other tests.
fn soon(bytes: &[u8]) -> Duration {
    if bytes.len() > 200_000 { Duration::from_secs(10) } else { Duration::from_secs(1) }
}

/// Reads a text and judges every object of it, as agentd does, and checks what has to hold for any text at all.
fn judged(bytes: &[u8]) -> (Vec<Document>, Vec<Problem>) {
    let started = Instant::now();
    let documents = read(Path::new("web.yaml"), bytes);
    let mut problems = Vec::new();
    for document in &documents {
        match &document.result {
            Ok(object) => {
                let broken = check_object(object, Backend::Profile).into_iter();
                problems.extend(broken.map(|v| document.at_field(&v.field.clone(), v.into_problem())));
            }
            Err(refusal) => {
                assert!(!refusal.problems.is_empty(), "a refusal without a reason");
                problems.extend(refusal.problems.iter().cloned());
            }
        }
    }
    assert!(started.elapsed() < soon(bytes), "it took {:?}", started.elapsed());
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}']).count();
    for problem in &problems {
        let at = problem.source.as_ref().unwrap_or_else(|| panic!("{problem} has no place"));
        assert!((1..=lines).contains(&(at.line as usize)) && at.column >= 1, "{problem} is outside of the text");
        assert!(!problem.detail.is_empty() && problem.detail.len() <= 2010, "{problem}");
    }
    if bytes.len() < 200_000 {
        let shown = diagnostics::render(&problems, false, &|_| Some(text.clone().into_owned()));
        let moves_the_cursor = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        assert!(!shown.contains(moves_the_cursor), "{shown:?}");
    }
    (documents, problems)
}

/// The code, the place and the hint of the first problem.
fn first(bytes: impl AsRef<[u8]>) -> (String, u32, u32, String) {
    let problem = judged(bytes.as_ref()).1.into_iter().next().expect("nothing was found to be wrong");
    let at = problem.source.unwrap();
    (problem.code, at.line, at.column, problem.hint.unwrap_or_default())
}

/// An app with that as one more line of its spec.
fn with(line: &str) -> String {
    format!("{APP}  {line}\n")
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let table: &[(&str, String, &str, u32, u32)] = &[
        ("an unknown kind", APP.replace("App", "Apps"), "unknown-kind", 2, 7),
        ("no kind", APP.replace("kind: App\n", ""), "missing-field", 1, 1),
        ("a kind that is a list", APP.replace("App", "[App]"), "missing-field", 1, 1),
        ("another version", APP.replace("os.moda/v1", "os.moda/v2"), "unknown-api-version", 1, 13),
        ("no version", APP.replace("apiVersion: os.moda/v1\n", ""), "missing-field", 1, 1),
        ("an unknown field", with("comand: [x]"), "unknown-field", 7, 3),
        ("an unknown field of the envelope", format!("{APP}status: {{}}\n"), "unknown-field", 7, 1),
        ("a wrong type", with("environment: [A=1]"), "wrong-type", 7, 16),
        ("a missing field", APP.replace("  command: [/bin/sleep, infinity]\n", "  tier: 1\n"), "missing-field", 6, 3),
        ("no spec", APP.split("spec:").next().unwrap().to_owned(), "missing-field", 1, 1),
        ("an empty spec", APP.split("  command").next().unwrap().to_owned(), "wrong-type", 5, 5),
        ("an empty command", APP.replace("/bin/sleep, infinity", ""), "too-few", 6, 12),
        ("a command that is text", APP.replace("[/bin/sleep, infinity]", "/bin/sleep"), "wrong-type", 6, 12),
        ("a path for a name", APP.replace("name: web", "name: ../../etc"), "invalid-value", 4, 9),
        ("an absolute path for a name", APP.replace("name: web", "name: /etc/passwd"), "invalid-value", 4, 9),
        ("a name with a line feed", APP.replace("name: web", "name: \"web\\n\""), "invalid-value", 4, 9),
        ("a name that is too long", APP.replace("web", &"w".repeat(64)), "invalid-value", 4, 9),
        ("an empty name", APP.replace("name: web", "name: \"\""), "invalid-value", 4, 9),
        ("a number for a name", APP.replace("name: web", "name: 8"), "wrong-type", 4, 9),
        ("a file outside of its folder", with("files: {../../etc/cron.d/x: {content: x}}"), "path-traversal", 7, 31),
        ("a file at an absolute path", with("files: {/etc/cron.d/x: {content: x}}"), "path-traversal", 7, 26),
        ("a file at a path with dots", with("files: {a/./b: {content: x}}"), "path-traversal", 7, 18),
        ("a number too large", with("ports: {http: {port: 65536}}"), "out-of-range", 7, 24),
        ("a number too small", with("ports: {http: {port: 0}}"), "out-of-range", 7, 24),
        ("a negative number", with("ports: {http: {port: -1}}"), "out-of-range", 7, 24),
        ("a fraction", with("ports: {http: {port: 80.5}}"), "wrong-type", 7, 24),
        ("a tier that does not exist", with("tier: 3"), "unknown-value", 7, 9),
        ("a probe without a type", with("health: [{probe: {port: 1}}]"), "missing-field", 7, 20),
        ("an unknown probe", with("health: [{probe: {type: ftp}}]"), "unknown-value", 7, 27),
        ("a size in other units", with("resources: {memory: 64MB}"), "invalid-value", 7, 23),
        ("an empty duration", with("stop: {timeout: \"\"}"), "invalid-value", 7, 19),
        ("a duration longer than a life", with("stop: {timeout: 99999999d}"), "invalid-value", 7, 19),
        ("an object that is none", with("after: [web]"), "invalid-value", 7, 11),
        ("a tag", with("description: !!binary x"), "unsupported-tag", 7, 16),
        ("a key that is a list", with("environment: {[a]: b}"), "key-not-text", 7, 17),
        ("a key that is there twice", with("command: [/bin/true]"), "duplicate-key", 7, 3),
        ("an empty key at the end", format!("{APP}? "), "unknown-field", 7, 2),
        ("a mistake after line ends of old", APP.replace('\n', "\r") + "x: 1\r", "unknown-field", 7, 1),
        ("a text", "hello".to_owned(), "not-a-document", 1, 1),
        ("a number", "7".to_owned(), "not-a-document", 1, 1),
        ("a list of other things", "[1, 2]".to_owned(), "not-a-document", 1, 2),
        ("a JSON list of other things", "[\n  \"x\"\n]\n".to_owned(), "not-a-document", 2, 3),
        ("JSON that is cut off", "{\"apiVersion\": \"os.moda/v1\",".to_owned(), "invalid-yaml", 1, 29),
        ("a list that is not closed", APP.replace(']', ""), "invalid-yaml", 6, 33),
        ("a tab as indentation", "apiVersion: os.moda/v1\nmetadata:\n\tname: web\n".to_owned(), "invalid-yaml", 3, 2),
        ("a NUL", "apiVersion: os.moda/v1\nkind: \0App\n".to_owned(), "control-character", 2, 7),
        ("a NUL at the end", format!("{APP}\0"), "control-character", 7, 1),
        ("a NUL that hides what comes after it", format!("{APP}\0  tier: 0\n"), "control-character", 7, 1),
        ("an escape sequence", format!("{APP}# \x1b[2J\n"), "control-character", 7, 3),
        ("an empty file", String::new(), "empty-file", 1, 1),
        ("a file of white space", "\n \n\n".to_owned(), "empty-file", 1, 1),
        ("an anchor that contains itself", with("environment: &x {A: *x}"), "alias-cycle", 7, 23),
        ("an alias of nothing", with("environment: *x"), "invalid-yaml", 7, 16),
        ("brackets without end", "[".repeat(100_000), "too-deep", 1, 256),
        ("braces without end", "{a: ".repeat(100_000), "too-deep", 1, 1021),
        ("dashes without end", "- ".repeat(100_000), "too-deep", 1, 131),
    ];
    for (what, text, code, line, column) in table {
        let found = first(text);
        assert_eq!((found.0.as_str(), found.1, found.2), (*code, *line, *column), "{what}: {found:?}");
    }
}

#[test]
fn a_number_for_a_duration_gets_its_unit() {
    for (line, hint) in [
        ("health: [{probe: {type: unit}, interval: 5}]", "did you mean \"5s\"?"),
        ("health: [{probe: {type: unit}, interval: \"5\"}]", "did you mean \"5s\"?"),
        ("probation: {ttl: 90}", "did you mean \"90s\"?"),
        ("stop: {timeout: 0.25}", "did you mean \"250ms\"?"),
        ("environment: {PORT: 8080}", "put it in quotes: \"8080\""),
        ("resources: {cpu: 0.5}", "put it in quotes: \"0.5\""),
        ("resources: {memory: 1024}", "put it in quotes: \"1024\""),
    ] {
        assert_eq!(first(with(line)).3, hint, "{line}");
    }
    assert_eq!(first(with("resources: {cpu: 0.5}")).0, "wrong-type");
}

#[test]
fn what_is_not_utf8_is_named_with_its_place() {
    let mut bytes = APP.as_bytes().to_vec();
    bytes.extend(b"  description: caf\xe9\n");
    assert_eq!(first(&bytes), ("invalid-utf8".to_owned(), 7, 19, "save the file in UTF-8".to_owned()));
    let utf16: Vec<u8> = APP.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(first([b"\xff\xfe".to_vec(), utf16].concat()).0, "invalid-utf8");
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_are_read_as_if_they_were_not_there() {
    for text in [APP.replace('\n', "\r\n"), format!("\u{feff}{APP}"), format!("\u{feff}{}", APP.replace('\n', "\r\n"))]
    {
        let (documents, problems) = judged(text.as_bytes());
        assert_eq!((documents.len(), problems), (1, Vec::new()), "{text:?}");
    }
    let text = format!("\u{feff}{}", with("comand: [x]").replace('\n', "\r\n"));
    assert_eq!((first(&text).1, first(&text).2), (7, 3));
    assert_eq!(first("\u{feff}").0, "empty-file");
}

#[test]
fn documents_that_are_left_out_on_purpose_are_no_mistake() {
    for text in ["# not today\n", "---\n", "---\n---\n", "null\n", "[]\n"] {
        assert!(judged(text.as_bytes()).0.is_empty(), "{text:?}");
    }
    assert_eq!(judged(format!("{APP}---\n").as_bytes()).0.len(), 1);
}

#[test]
fn a_json_list_of_documents_is_several_documents() {
    let one = r#"{"apiVersion":"os.moda/v1","kind":"App","metadata":{"name":"a"},"spec":{"command":["/bin/true"]}}"#;
    let (documents, problems) = judged(format!("[{one},\n{}]", one.replace("\"a\"", "\"b\"")).as_bytes());
    assert_eq!((documents.len(), problems.len(), documents[1].position.line), (2, 0, 2));
    let (documents, problems) = judged(format!("[{one},\n7, {{}}]").as_bytes());
    assert!(documents[0].result.is_ok(), "a bad neighbour is no reason");
    let codes: Vec<&str> = problems.iter().map(|p| p.code.as_str()).collect();
    assert_eq!(codes, ["not-a-document", "missing-field"]);
}

#[test]
fn a_mistake_does_not_hide_the_documents_before_it() {
    let (documents, problems) = judged(format!("{APP}---\nkind: [\n").as_bytes());
    assert!(documents[0].result.is_ok());
    assert_eq!(problems.len(), 1);
}

#[test]
fn what_is_huge_is_refused_soon() {
    // Larger than a file may be.
    assert_eq!(first(vec![b'x'; 10 * 1024 * 1024]).0, "too-large");
    assert_eq!(first(format!("{APP}# {}", "x".repeat(10 * 1024 * 1024))).0, "too-large");
    // As large as a file may be, in shapes that cost the most.
    let room = 900_000;
    let list = |item: &str| with(&format!("health: [{}]", vec![item; room / (item.len() + 2)].join(", ")));
    let map = |field: &str, value: &str| {
        let entries: Vec<String> = (0..room / (value.len() + 10)).map(|i| format!("k{i:06}: {value}")).collect();
        with(&format!("{field}: {{{}}}", entries.join(", ")))
    };
    let fields: Vec<String> = (0..room / 12).map(|i| format!("  k{i:06}: 1")).collect();
    for (what, text, code) in [
        ("many wrong entries", list("7"), "too-large"),
        ("many wrong objects", list("{probe: {type: htp}}"), "unknown-value"),
        ("many wrong values", map("environment", "7"), "wrong-type"),
        ("many wrong variables", map("environment", "\"\\0\""), "control-character"),
        ("many wrong ports", map("ports", "{}"), "missing-field"),
        ("many unknown fields", format!("{APP}{}\n", fields.join("\n")), "unknown-field"),
        ("a long line", with(&format!("description: \"{}\\u0007\"", "x".repeat(room))), "control-character"),
        ("a long name", APP.replace("web", &"w".repeat(room)), "invalid-value"),
        ("many quotes", with(&format!("description: {}", "\"".repeat(room))), "invalid-yaml"),
        ("many placeholders", APP.replace("infinity", &format!("\"{}files}}\"", "${".repeat(room / 2))), "placeholder"),
        ("many anchors", with(&format!("description: {}", "&a ".repeat(room / 3))), "invalid-yaml"),
        ("many documents", "7\n---\n".repeat(room / 6), "not-a-document"),
    ] {
        assert_eq!(first(text.as_bytes()).0, code, "{what}");
    }
}

#[test]
fn aliases_do_not_multiply() {
    let mut bomb = format!("{APP}  environment:\n    a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..30 {
        let aliases = vec![format!("*a{}", i - 1); 9].join(", ");
        bomb += &format!("    a{i}: &a{i} [{aliases}]\n");
    }
    assert_eq!(first(&bomb).0, "too-large");
    // The same in one long document after another: a document's anchors end with it, but not what they cost.
    let flat = format!("a: &a [{}]\nb: [{}]\n---\n", ["x"; 400].join(","), ["*a"; 400].join(","));
    assert_eq!(judged(flat.repeat(20).as_bytes()).1.last().unwrap().code, "too-large");
}
