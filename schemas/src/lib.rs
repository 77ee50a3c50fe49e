//! Kinds, documents with source spans, validation, canonical JSON, operations.
