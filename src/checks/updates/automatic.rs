//! What unattended-upgrades does by itself on a hypervisor.

use crate::checks::{Judged, Look};
use crate::formats::apt_conf::Setting;
use crate::formats::{apt_match, apt_text};
use crate::host::Stop;
use crate::outcome::{Evidence, Judgement, Subject};

const PACKAGE: &str = "unattended-upgrades";

/// Stops where nothing is installed without being asked for.
fn is_installed(look: &Look<'_>) -> Result<(), Stop> {
    let packages = look.take(look.host.packages())?;
    match packages.present(PACKAGE) {
        Some(_) => Ok(()),
        None => Err(Stop::not_applicable(format!("{PACKAGE} is not installed"))),
    }
}

fn evidence(name: &str, setting: &Setting) -> Evidence {
    Evidence::at(&*setting.file, setting.line).key(name).observed(&setting.value)
}

/// `updates/automatic-reboot-enabled`
pub(crate) fn automatic_reboot_enabled(look: &Look<'_>) -> Judged {
    const NAME: &str = "Unattended-Upgrade::Automatic-Reboot";
    is_installed(look)?;
    let tree = &look.take(look.host.apt_conf())?.tree;
    let judgement = match tree.find(NAME) {
        None => Judgement::pass("the node does not reboot by itself, upstream's default"),
        Some(setting) => Judgement::fail_if(
            apt_text::boolean(&setting.value) == Some(true),
            "the node reboots by itself after updates, with its guests",
            "the node does not reboot by itself",
        )
        .with(evidence(NAME, setting).expected("false")),
    };
    look.one(Subject::node(), judgement)
}

/// `updates/automatic-upgrade-of-proxmox`
pub(crate) fn automatic_upgrade_of_proxmox(look: &Look<'_>) -> Judged {
    const PATTERNS: &str = "Unattended-Upgrade::Origins-Pattern";
    const ALLOWED: &str = "Unattended-Upgrade::Allowed-Origins";
    is_installed(look)?;
    let tree = &look.take(look.host.apt_conf())?.tree;
    let patterns = tree.list(PATTERNS).into_iter().map(|setting| (PATTERNS, setting, takes(&setting.value)));
    let allowed = tree.list(ALLOWED).into_iter().map(|setting| {
        let origin = setting.value.split([':', ' ']).next().unwrap_or_default();
        (ALLOWED, setting, apt_match::expression(origin, "Proxmox"))
    });
    let mut doubtful = None;
    for (name, setting, takes) in patterns.chain(allowed) {
        match takes {
            Some(true) => {
                let summary = "packages of Proxmox VE are upgraded without anybody watching";
                return look.one(Subject::node(), Judgement::fail(summary).with(evidence(name, setting)));
            }
            Some(false) => {}
            None => doubtful = doubtful.or(Some((name, setting))),
        }
    }
    let judgement = match doubtful {
        Some((name, setting)) => Judgement::unknown("an origin has a pattern that is not understood here")
            .with(evidence(name, setting)),
        None => Judgement::pass("no origin covers Proxmox's packages"),
    };
    look.one(Subject::node(), judgement)
}

/// Whether a pattern covers Proxmox's archive: `Origin: Proxmox`, from a host of Proxmox's. What it asks of suite and
/// label is taken to match.
fn takes(pattern: &str) -> Option<bool> {
    const HOSTS: [&str; 2] = ["download.proxmox.com", "enterprise.proxmox.com"];
    let mut asked = false;
    for part in pattern.split(',') {
        let (key, value) = part.trim().split_once('=').unwrap_or((part.trim(), ""));
        let matches = match key.trim() {
            "o" | "origin" => apt_match::expression(value, "Proxmox")?,
            "site" => {
                let [public, enterprise] = HOSTS;
                apt_match::expression(value, public)? || apt_match::expression(value, enterprise)?
            }
            "l" | "label" if value.starts_with("Debian") => false,
            _ => true,
        };
        asked = true;
        if !matches {
            return Some(false);
        }
    }
    Some(asked)
}
