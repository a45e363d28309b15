//! The published JSON Schema is generated from the types.
#![expect(clippy::disallowed_methods, reason = "a test reads and writes the published schema")]

use super::Report;

/// `BLESS=1 cargo test` writes `docs/report.schema.json`, a plain run compares.
#[test]
fn the_published_schema_is_the_one_of_the_types() {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Report>();
    schema.insert("$id".to_owned(), "https://pve-audit.invalid/schema/report-1.json".into());
    schema.insert("title".to_owned(), "pve-audit report, schema version 1".into());
    let actual = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/report.schema.json");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &actual).unwrap();
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(published == actual, "docs/report.schema.json is not up to date: run `BLESS=1 cargo test`");
}
