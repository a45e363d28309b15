//! pve-audit judges the hardening of a Proxmox VE node by its effective state and never passes what it has not
//! read. The flow, each module using only what stands left of it:
//!
//! `files, live → formats → host → catalogue → outcome → checks → engine → policy → report → show → cli`
//!
//! | module | its one job |
//! |---|---|
//! | `files`, `live` | the only doors to the audited host |
//! | `formats` | text to typed values, read as upstream reads them |
//! | `host` | facts: what a missing file means, defaults, effective values |
//! | `catalogue` | what a check is; the table made from `checks/` |
//! | `outcome` | verdict, subject, evidence, fingerprint |
//! | `checks` | judgement |
//! | `engine` | runs checks and applies the evidence rule |
//! | `policy` | what the site wants |
//! | `report` | the versioned report and its writers |
//! | `show`, `cli` | what people type and see |

pub mod catalogue;
pub mod checks;
pub mod cli;
pub mod engine;
pub mod files;
pub mod formats;
pub mod host;
pub mod live;
pub mod outcome;
pub mod policy;
pub mod report;
pub mod show;

use jiff::Timestamp;

/// Runs `selected` on `host` and makes the report. `root` is the tree's name where a tree is audited.
pub fn audit(
    host: &host::Host,
    selected: &[&'static catalogue::Check],
    policy: &policy::Policy,
    now: Timestamp,
    root: Option<&str>,
) -> report::Report {
    let run =
        |check: &&'static catalogue::Check| engine::run_for_report(host, now, check, &policy.settings(check));
    let outcomes: Vec<engine::Outcome> = selected.iter().map(run).collect();
    report::build(host, &outcomes, policy, now, root)
}
