//! Whatever a caller sends: each operation takes it or refuses it, and what it takes means one thing.

mod schema;

use arbitrary::{Result, Unstructured};
use osmoda_ipc::{RequestReader, parse_query};
use osmoda_schemas::{
    operation::Op,
    ops::{agentd::*, common::*, routines::*, watch},
};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// An operation whose type is not known any more.
struct Operation {
    name: &'static str,
    schema: Value,
    valid: jsonschema::Validator,
    /// The request as JSON; none: it is refused.
    request: Box<Request>,
    in_path: Vec<&'static str>,
}

/// Reads a request from path, query and body.
type Request = dyn Fn(&[(String, String)], &[(String, String)], &[u8]) -> Option<Value>;

thread_local! {
    static OPERATIONS: Vec<Operation> = operations();
}

/// All that has to hold for three parts, of which the first two are lines: what stands in the path, query, body.
pub fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (in_path, query) = (line(), line());
    let body = parts.next().unwrap_or_default();
    let query = parse_query(&query);
    OPERATIONS.with(|operations| {
        for operation in operations {
            let path: Vec<_> = operation.in_path.iter().map(|name| ((*name).to_owned(), in_path.clone())).collect();
            if let Some(request) = (operation.request)(&path, &query, body) {
                means_one_thing(operation, &request);
            }
            is_taken_as_the_schema_says(operation, body);
            // Bytes that end too soon are no input, and no surprise.
            let _ = from_its_schema(operation, bytes);
        }
    });
}

/// A request that is taken is written, read and the same; with one more field it is refused, but for calls of hooks, whose
/// callers send what they send.
fn means_one_thing(operation: &Operation, request: &Value) {
    let read = |value: &Value| (operation.request)(&[], &[], value.to_string().as_bytes());
    assert_eq!(read(request).as_ref(), Some(request), "{}: it does not come back", operation.name);
    let mut more: Map<String, Value> = request.as_object().cloned().expect("a request is an object");
    more.insert("noSuchField".to_owned(), Value::Null);
    let expected = (operation.name == "routine.hook").then(|| request.clone());
    assert_eq!(read(&Value::Object(more)), expected, "{}: an unknown field", operation.name);
}

/// The description that callers read is no other than what the daemon does.
fn is_taken_as_the_schema_says(operation: &Operation, body: &[u8]) {
    let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(body) else { return };
    if let Some(request) = (operation.request)(&[], &[], body) {
        let errors: Vec<String> = operation.valid.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: taken, and not by its schema: {errors:?}: {value}", operation.name);
        means_one_thing(operation, &request);
    }
}

/// What a caller makes who knows nothing but the description is taken.
fn from_its_schema(operation: &Operation, bytes: &[u8]) -> Result<()> {
    let value = schema::value(&mut Unstructured::new(bytes), &operation.schema, &operation.schema, 0)?;
    is_taken_as_the_schema_says(operation, value.to_string().as_bytes());
    if operation.valid.is_valid(&value) && has_plain_numbers(&value) {
        let taken = (operation.request)(&[], &[], value.to_string().as_bytes());
        assert!(taken.is_some(), "{}: its schema allows what is refused: {value}", operation.name);
    }
    Ok(())
}

/// JSON Schema takes `1.0` for an integer, and does not know how many bits a format means.
fn has_plain_numbers(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64(),
        Value::Array(items) => items.iter().all(has_plain_numbers),
        Value::Object(fields) => fields.values().all(has_plain_numbers),
        _ => true,
    }
}

fn operation<O: Op>() -> Operation {
    let reader = RequestReader::new::<O>();
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<O::Request>().to_value();
    let request = move |path: &[(String, String)], query: &[(String, String)], body: &[u8]| {
        let request = reader.read::<O>(path.to_vec(), query.to_vec(), body).ok()?;
        Some(serde_json::to_value(&request).expect("a request is JSON"))
    };
    Operation {
        name: O::OPERATION.name,
        valid: jsonschema::validator_for(&schema).unwrap(),
        schema,
        request: Box::new(request),
        in_path: O::OPERATION.path_parameters().collect(),
    }
}

fn operations() -> Vec<Operation> {
    vec![
        operation::<ListObjects>(),
        operation::<GetObject>(),
        operation::<DeleteObject>(),
        operation::<GetPlan>(),
        operation::<PostApply>(),
        operation::<GetStatus>(),
        operation::<ListGenerations>(),
        operation::<PostRollback>(),
        operation::<PostGc>(),
        operation::<ListEvents>(),
        operation::<StreamEvents>(),
        operation::<GetEvent>(),
        operation::<QuerySystem>(),
        operation::<DiscoverSystem>(),
        operation::<GetHealth>(),
        operation::<AddRoutine>(),
        operation::<RemoveRoutine>(),
        operation::<ListRoutines>(),
        operation::<TriggerRoutine>(),
        operation::<HookRoutine>(),
        operation::<ListRuns>(),
        operation::<watch::BeginSwitch>(),
        operation::<watch::GetSwitch>(),
        operation::<watch::CommitSwitch>(),
        operation::<watch::RollbackSwitch>(),
        operation::<watch::ListSwitches>(),
        operation::<watch::AddWatcher>(),
        operation::<watch::RemoveWatcher>(),
        operation::<watch::ListWatchers>(),
    ]
}
