//! `portico audit verify`

use super::{Common, runtime};
use crate::{
    app,
    config::Config,
    model::Error,
    store::{AuditMark, AuditReport},
};
use anyhow::{Context as _, bail};

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn verify(common: &Common, noted: Option<&str>) -> anyhow::Result<()> {
    let config = common.load(&Config::default())?;
    let noted = noted.map(|text| mark(text).with_context(|| format!("--noted {text:?}"))).transpose()?;
    let report = runtime()?.block_on(app::verify_audit(&config, noted.as_ref()))?;
    if report.unchained > 0 {
        println!(
            "{} rows before row {} are older than the chain: nothing can be said about them",
            report.unchained, report.first
        );
    }
    for finding in &report.findings {
        let place = finding.row.map_or_else(String::new, |row| format!("row {row}: "));
        println!("{place}{}", finding.what);
    }
    if let Some(first) = report.findings.iter().find_map(|finding| finding.row) {
        bail!(
            "the audit log is not whole: the first bad row is {first}. The rows before it are as they were written. Keep a copy of the \
             data folder as it is now, and hold it against backups from before (verify --noted tells which of them is whole)"
        );
    }
    if !report.findings.is_empty() {
        bail!(
            "the audit log is not whole: the rows that are there are as they were written, but not the head record (the last rows \
             may be missing), or not the index that lists are read by. Keep a copy of the data folder as it is now. The index \
             alone is made anew, while the gateway is stopped, by sqlite3: DROP INDEX IF EXISTS audit_by_organization; CREATE INDEX audit_by_organization ON audit (organization, id)"
        );
    }
    tell(&report);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn tell(report: &AuditReport) {
    let AuditMark { id, mac } = &report.head;
    let mac: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("the audit log is whole: {} rows, from {} to {id}", report.rows, report.first);
    println!("note this elsewhere, and give it to a later check as --noted: {id}:{mac}");
}

/// A row's number and its hash: `1290:9f…`.
fn mark(text: &str) -> Result<AuditMark, Error> {
    let wrong = || Error::gateway("");
    let wrong = || Error { message: "a row and its hash as a check prints them: 1290:<64 hex digits>".to_owned(), ..wrong() };
    let (id, digits) = text.split_once(':').ok_or_else(wrong)?;
    let mut mac = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(wrong());
    }
    for (index, byte) in mac.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
    }
    Ok(AuditMark { id: id.parse().map_err(|_| wrong())?, mac })
}
