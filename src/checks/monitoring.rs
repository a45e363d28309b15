//! Logs and those who hear of them.

use super::{Judged, Look};
use crate::catalogue::Severity;
use crate::host::system::journal::{JOURNAL_FOLDER, JOURNALD_CONF, Storage};
use crate::host::{Host, Stop};
use crate::outcome::{Evidence, Judgement, Subject};

/// Daemons that write what journald hands them to files.
const SYSLOG_DAEMONS: [&str; 2] = ["rsyslog", "syslog-ng-core"];

/// `monitoring/journal-volatile`
pub(crate) fn journal_volatile(look: &Look<'_>) -> Judged {
    let journal = look.take(look.host.journal())?;
    let evidence = match &journal.storage_at {
        Some(at) => Evidence::at(&at.path, at.line),
        None => Evidence::of(JOURNALD_CONF),
    };
    let evidence = evidence.key("Storage").observed(journal.storage.name());
    let lost = |summary: &str| Judgement::fail(summary).severity(severity(look.host));
    let judgement = match (journal.storage, journal.folder) {
        (Storage::None, _) => lost("journald keeps nothing at all").with(evidence.expected("persistent")),
        (Storage::Volatile, _) => lost("the journal is kept in memory and gone with every boot")
            .with(evidence.expected("persistent")),
        (Storage::Auto, Some(false)) => {
            lost("there is no folder for the journal, so it is kept in memory and gone with every boot")
                .with(evidence.expected("persistent"))
                .with(Evidence::of(JOURNAL_FOLDER).observed("missing"))
        }
        (Storage::Auto, None) => {
            return Err(Stop::unknown(
                JOURNAL_FOLDER,
                "decides whether the journal is kept, and /var/log is not in this tree",
            ));
        }
        (Storage::Auto, Some(true)) | (Storage::Persistent, _) => {
            Judgement::pass("the journal is kept on disk").with(evidence)
        }
    };
    look.one(Subject::node(), judgement)
}

/// With a syslog daemon the messages survive in its files.
fn severity(host: &Host) -> Severity {
    let packages = host.packages().value.as_ref().ok();
    let daemon = |name: &str| packages.is_some_and(|packages| packages.present(name).is_some());
    if SYSLOG_DAEMONS.into_iter().any(daemon) { Severity::Low } else { Severity::Medium }
}
