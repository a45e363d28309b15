//! Whether what is installed also runs.

use crate::checks::{Judged, Look};
use crate::host::Stop;
use crate::host::services::Running;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// The file that says that a package asks for a reboot, and the package whose hooks write it.
const FLAG: &str = "/run/reboot-required";
const WRITER: &str = "unattended-upgrades";

/// `updates/reboot-required`
pub(crate) fn reboot_required(look: &Look<'_>) -> Judged {
    match look.host.files.stat(FLAG) {
        Ok(_) => {
            let summary = "a package that was upgraded asks for a reboot, and there was none since";
            return look.one(Subject::node(), Judgement::fail(summary).with(Evidence::of(FLAG)));
        }
        Err(trouble) if trouble.is_missing() => {}
        Err(trouble) => return Err(trouble.into()),
    }
    let packages = look.take(look.host.packages())?;
    if packages.present(WRITER).is_none() {
        return Err(Stop::not_applicable(format!(
            "{WRITER} is not installed, and nothing else writes {FLAG}"
        )));
    }
    if look.host.files.stat("/run").is_err() {
        return Err(Stop::unknown("/run", "is missing: run on the live host"));
    }
    look.one(Subject::node(), Judgement::pass("no package asks for a reboot"))
}

/// `updates/service-on-old-code`
pub(crate) fn service_on_old_code(look: &Look<'_>) -> Judged {
    let running = look.own(look.host.running_services())?;
    if running.is_empty() {
        return Err(Stop::unknown("/sys/fs/cgroup/system.slice", "names no service that is known here"));
    }
    let subject = |running: &Running| Subject::new(SubjectKind::Service, &running.unit);
    look.each(running, subject, |_, running| {
        let Some((first, _)) = running.deleted.first() else {
            return Ok(Judgement::pass("everything it runs is what is on disk"));
        };
        let who = if running.is_machine { "the virtual machine" } else { "the service" };
        let summary = format!("{who} runs {first}, which was replaced on disk since it started");
        let evidence = running.deleted.iter().take(5);
        let evidence = evidence.map(|(file, maps)| Evidence::of(maps).observed(format!("{file} (deleted)")));
        Ok(Judgement::fail(summary).with_all(evidence))
    })
}
