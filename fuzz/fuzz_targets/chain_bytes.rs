#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| osmoda_properties::chains::bytes(bytes));
