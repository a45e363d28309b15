//! The report as JSON.

use std::io::{self, Write};

use super::Report;

/// Writes the report as one indented JSON document with a final newline.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    out.write_all(b"\n")
}
