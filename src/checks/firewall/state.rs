//! Whether the firewall is on, started and tells what it drops.

use jiff::Timestamp;

use super::{filtered_node, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::options::{LogLevel, TEMPORARY_ENABLE};
use crate::formats::firewall::{Lost, LostKind};
use crate::formats::shown;
use crate::host::firewall::File;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

pub(crate) fn datacenter_firewall_off(look: &Look<'_>) -> Judged {
    let file = look.take(look.host.datacenter_firewall())?;
    let enable = file.firewall.options.enable.as_ref();
    let evidence = match enable {
        Some(option) => Evidence::at(&file.path, option.line).observed(option.value.to_string()),
        None if file.exists => Evidence::of(&file.path).observed("0 (not set)"),
        None => Evidence::of(&file.path).observed("0 (no file)"),
    };
    let evidence = evidence.key("enable").expected("1");
    let judgement = if file.firewall.is_enabled(look.now.as_second()) {
        match enable.filter(|option| option.value > 1) {
            Some(option) => Judgement::fail(format!(
                "the firewall was switched on for a short time and goes off {TEMPORARY_ENABLE} seconds after {}",
                time(option.value)
            )),
            None => Judgement::pass("the firewall of the datacenter is on"),
        }
    } else if let Some(lost) = lost_enable(file) {
        return look.one(Subject::cluster(), lost);
    } else {
        Judgement::fail("the firewall of the datacenter is off: no node and no guest is filtered")
    };
    look.one(Subject::cluster(), judgement.with(evidence))
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.to_string())
}

/// The judgement on a file that was meant to switch the firewall on and does not.
fn lost_enable(file: &File) -> Option<Judgement> {
    let meant = file.lost_enable()?;
    let value = shown(&meant.value);
    let evidence = Evidence::at(&file.path, meant.line).key("enable").expected("1");
    let expired = file.firewall.options.enable.as_ref().filter(|option| option.line == meant.line);
    if let Some(option) = expired {
        let summary = format!(
            "the firewall is off: `enable` is the time {}, which switched it on for {TEMPORARY_ENABLE} seconds only",
            time(option.value)
        );
        let evidence = evidence.observed(option.value.to_string());
        return Some(Judgement::fail(summary).severity(Severity::Critical).with(evidence));
    }
    let lost = |line: &dyn Fn(&Lost) -> bool| file.firewall.lost.iter().rfind(|lost| line(lost));
    let why =
        lost(&|lost| lost.line == meant.line).map_or("upstream drops the line", |lost| lost.why.as_str());
    let header = lost(&|lost| lost.line < meant.line && lost.what == LostKind::Header);
    let summary = format!("the firewall is off although line {} says `enable` {value}: {why}", meant.line);
    let header = header.map(|lost| Evidence::at(&file.path, lost.line).observed(&lost.why));
    let judgement = Judgement::fail(summary).severity(Severity::Critical);
    Some(judgement.with(evidence.observed(&meant.value)).with_all(header))
}

pub(crate) fn node_firewall_off(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    let file = look.take(look.host.node_firewall())?;
    let evidence = match &file.firewall.options.enable {
        Some(option) => Evidence::at(&file.path, option.line).observed(option.value.to_string()),
        None => Evidence::of(&file.path).observed("1 (not set)"),
    };
    let off = !file.firewall.is_enabled(look.now.as_second());
    let judgement = Judgement::fail_if(
        off,
        "the firewall of this node is off: no rule and no policy of the datacenter guards it",
        "the firewall of this node is on",
    );
    look.one(Subject::node(), judgement.with(evidence.key("enable").expected("1")))
}

pub(crate) fn service_not_enabled(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    look.take(look.host.node_firewall())?;
    let backend = *look.take(look.host.firewall_backend())?;
    look.each(
        backend.units(),
        |unit| Subject::new(SubjectKind::Service, **unit),
        |look, unit| Ok(judge_unit(&look.own(look.host.firewall_unit(unit))?, unit)),
    )
}

fn judge_unit((link, masked): &(Option<String>, bool), unit: &str) -> Judgement {
    let state = if *masked { "masked" } else { "no link starts it" };
    let folder = Evidence::of("/etc/systemd/system").key(unit).observed(state);
    match link {
        _ if *masked => {
            Judgement::fail(format!("{unit} is masked: after a boot nothing is filtered")).with(folder)
        }
        Some(link) => Judgement::pass(format!("{unit} starts at boot")).with(Evidence::of(link)),
        None => {
            Judgement::fail(format!("{unit} does not start at boot: nothing is filtered then")).with(folder)
        }
    }
}

pub(crate) fn drops_not_logged(look: &Look<'_>) -> Judged {
    let filter = filtered_node(look)?;
    let file = filter.node;
    let level = file.firewall.log_level_in();
    let evidence = match &file.firewall.options.log_level_in {
        Some(option) => Evidence::at(&file.path, option.line).observed("nolog"),
        None => Evidence::of(&file.path).observed("nolog (not set)"),
    };
    let judgement = if level == LogLevel::Nolog {
        let evidence = evidence.key("log_level_in").expected("info");
        Judgement::fail("what the firewall drops on the way to this node is not logged").with(evidence)
    } else {
        Judgement::pass("what the firewall drops on the way to this node is logged")
    };
    look.one(Subject::node(), judgement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::firewall::options::meant_to_enable;
    use crate::formats::firewall::{Level, parse};
    use crate::formats::release::Release;

    fn judged(text: &str) -> Option<String> {
        let firewall = parse(text, Level::Datacenter, Release::Pve9, None).value;
        let file = File { firewall, meant_to_enable: meant_to_enable(text), ..File::default() };
        let judgement = lost_enable(&file)?;
        assert_eq!(judgement.severity, Some(Severity::Critical));
        Some(judgement.summary)
    }

    #[test]
    fn a_line_that_was_meant_to_switch_the_firewall_on_is_worse_than_none() {
        let reason = |text: &str| judged(text).unwrap();
        assert!(
            reason("[OPTIONS]\r\nenable: 1\r\n")
                .contains("line 2 says `enable` `1`: it stands in no section")
        );
        assert!(reason("\u{feff}[OPTIONS]\nenable: 1\n").contains("line 2"));
        assert!(reason("[OPTIONS]\nenable: yes\n").contains("`yes`"));
        assert!(reason("[OPTIONS]\nenable: 0\nenable = 1\n").contains("line 3"));
        assert!(reason("[OPTIONS]\nenable: 1700000000\n").contains("2023-11-14T22:13:20Z"));
    }

    #[test]
    fn a_line_that_a_later_one_switches_off_was_not_lost() {
        assert_eq!(judged("[OPTIONS]\nenable: 1\nenable: 0\n"), None);
        assert_eq!(judged("[OPTIONS]\nenable: yes\nenable: 0\n"), None);
        assert_eq!(judged("[OPTIONS]\n# enable: 1\nenable: 0\nenable: no\n"), None);
    }
}
