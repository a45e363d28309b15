//! Other programs that load rules into the kernel.

use crate::checks::{Judged, Look};
use crate::formats::numbered;
use crate::host::{Doubt, Fact, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// A program with rules of its own.
struct Rival {
    unit: &'static str,
    packages: &'static [&'static str],
    does: &'static str,
}

const RIVALS: [Rival; 8] = [
    Rival {
        unit: "docker.service",
        packages: &["docker.io", "docker-ce"],
        does: "opens the ports of its containers in front of all rules and drops what guests forward",
    },
    Rival {
        unit: "ferm.service",
        packages: &["ferm"],
        does: "replaces the rules of iptables when it starts",
    },
    Rival {
        unit: "firewalld.service",
        packages: &["firewalld"],
        does: "loads rules of its own and removes others when it is reloaded",
    },
    Rival {
        unit: "netfilter-persistent.service",
        packages: &["netfilter-persistent"],
        does: "restores saved rules over those in force when it starts",
    },
    Rival {
        unit: "nftables.service",
        packages: &["nftables"],
        does: "begins with `flush ruleset`, which removes the rules of Proxmox VE when it starts",
    },
    Rival {
        unit: "shorewall.service",
        packages: &["shorewall"],
        does: "replaces the rules of iptables when it starts",
    },
    Rival {
        unit: "shorewall6.service",
        packages: &["shorewall6"],
        does: "replaces the rules of ip6tables when it starts",
    },
    Rival {
        unit: "ufw.service",
        packages: &["ufw"],
        does: "loads rules of its own in front of those of Proxmox VE",
    },
];

/// Whether ufw does anything at all when it is started.
const UFW_CONF: &str = "/etc/ufw/ufw.conf";

pub(crate) fn competing_firewall(look: &Look<'_>) -> Judged {
    look.take(look.host.cluster_files())?;
    let packages = look.take(look.host.packages())?;
    let present = |rival: &&Rival| rival.packages.iter().any(|name| packages.present(name).is_some());
    let rivals: Vec<&Rival> = RIVALS.iter().filter(present).collect();
    if rivals.is_empty() {
        return look
            .one(Subject::node(), Judgement::pass("no other program with rules of its own is installed"));
    }
    let units = look.take(look.host.units())?;
    look.each(
        rivals,
        |rival| Subject::new(SubjectKind::Service, rival.unit),
        |look, rival| {
            let Some(link) = units.starts(rival.unit) else {
                return Ok(Judgement::pass(format!("{} does not start at boot", rival.unit)));
            };
            if rival.unit == "ufw.service" && !ufw_is_on(look)? {
                return Ok(Judgement::pass("ufw starts at boot, and is told to do nothing")
                    .with(Evidence::of(UFW_CONF)));
            }
            Ok(Judgement::fail(format!("{} starts at boot: it {}", rival.unit, rival.does))
                .with(Evidence::of(link)))
        },
    )
}

/// `ENABLED=yes`, the only word for yes; the last line counts.
fn ufw_is_on(look: &Look<'_>) -> Result<bool, Stop> {
    let unclear = || Stop::unknown(UFW_CONF, "does not tell whether ufw is switched on");
    let last = look.own(Fact::gather(&look.host.files, |gather| {
        let text = gather.required(UFW_CONF)?;
        let mut last = None;
        for (line, content) in numbered(&text) {
            let content = content.trim();
            match content.split_once('=') {
                Some(("ENABLED", value)) => last = Some(value.to_owned()),
                Some(_) => {}
                None if content.is_empty() || content.starts_with('#') => {}
                None => gather.doubt(Doubt::at(UFW_CONF, line, "is no assignment")),
            }
        }
        last.ok_or_else(unclear)
    }))?;
    match last.trim_matches(['"', '\'']).to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(unclear()),
    }
}
