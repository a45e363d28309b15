//! The command line: arguments in, exit code out. Everything it does is done by the library.

mod output;
mod pages;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::catalogue::{self, Check, Severity};
use crate::files::{Files, InputOutcome};
use crate::formats::release::Release;
use crate::formats::sshd::Specification;
use crate::host::firewall::reach::{Receiver, Sender};
use crate::host::{Host, cluster_database};
use crate::live::Live;
use crate::policy::Policy;
use crate::report::text::Style;
use crate::report::{self, Report, clean};
use crate::show::{self, Question, Refusal, Shown};

/// A mistake in the options.
const USAGE: u8 = 2;

/// The audit could not run, or its report could not be written.
const COULD_NOT_RUN: u8 = 4;

/// Audits the hardening of a Proxmox VE node by its effective state. Reads only, starts no program, uses no network.
///
/// Exit codes: 0 clean; 1 findings at or above --fail-on; 2 wrong options; 3 nothing found, but some verdicts are
/// unknown; 4 the audit could not run.
#[derive(Debug, Parser)]
#[command(name = "pve-audit", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    audit: Audit,
}

#[derive(Debug, Args)]
struct Common {
    /// Audit the tree below DIR instead of the running host
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Lay the files of DIR over the root: what would they change? (DIR/etc/pve/user.cfg stands for /etc/pve/user.cfg)
    #[arg(long, global = true, value_name = "DIR")]
    overlay: Option<PathBuf>,
    /// How to print: auto is text on a terminal and JSON elsewhere
    #[arg(long, global = true, value_name = "FORMAT", default_value = "auto")]
    format: Format,
    /// Judge as if it were this time
    #[arg(long, global = true, value_name = "RFC3339")]
    now: Option<Timestamp>,
    /// Assume this release of Proxmox VE, for a tree without package data
    #[arg(long, global = true, value_name = "7|8|9", value_parser = release)]
    assume_pve: Option<Release>,
}

#[derive(Debug, Args)]
struct Audit {
    /// Write the report to FILE (whole or not at all) instead of the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Run only the checks whose id matches GLOB (can be repeated)
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Leave out the checks whose id matches GLOB (can be repeated)
    #[arg(long, value_name = "GLOB")]
    skip: Vec<String>,
    /// Exit with 1 if there is a finding of at least this severity
    #[arg(long, value_name = "SEVERITY", default_value = "high", value_parser = severity)]
    fail_on: Severity,
    /// Show every subject, place and check, and list what was read on the standard error
    #[arg(short, long)]
    verbose: bool,
    /// Print nothing on the standard output: the exit code and --output tell
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the checks
    Checks,
    /// Print everything about one check
    Explain {
        /// The check, as `pve-audit checks` lists it
        id: String,
    },
    /// Print effective facts: what the checks judge
    Show(Box<ShowArguments>),
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// The fact
    fact: show::Name,
    /// access: only this user or token (can be repeated)
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// access: only this path, whether or not an ACL names it (can be repeated)
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// access: only who has this privilege (can be repeated: one of them)
    #[arg(long, value_name = "PRIV")]
    privilege: Vec<String>,
    /// access: print a review to sign, one row for each identity, role and object
    #[arg(long)]
    report: bool,
    #[command(flatten)]
    packet: Packet,
    /// sshd: for this connection, as `sshd -T -C` takes it: user=root,addr=192.0.2.1
    #[arg(long, value_name = "CONNECTION", value_parser = show::sshd::connection)]
    connection: Option<Specification>,
}

/// One question of `show reach`.
#[derive(Debug, Args)]
struct Packet {
    /// reach: what becomes of packets from this address, from the node or from a guest of it
    #[arg(long, value_name = "ADDRESS|node|guest/ID", requires = "to", requires = "port", value_parser = show::reach::sender)]
    from: Option<Sender>,
    /// reach: on the way there; one end is the node or a guest
    #[arg(long, value_name = "ADDRESS|node|guest/ID", requires = "from", value_parser = show::reach::receiver)]
    to: Option<Receiver>,
    /// reach: and to this port
    #[arg(long, value_name = "tcp/PORT", requires = "from", value_parser = show::reach::port)]
    port: Option<(u16, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Auto,
    Text,
    Json,
}

fn release(text: &str) -> Result<Release, String> {
    text.parse().ok().and_then(Release::from_major).ok_or_else(|| "known are 7, 8 and 9".to_owned())
}

fn severity(text: &str) -> Result<Severity, String> {
    match text {
        "info" => Ok(Severity::Info),
        "low" => Ok(Severity::Low),
        "medium" => Ok(Severity::Medium),
        "high" => Ok(Severity::High),
        "critical" => Ok(Severity::Critical),
        _ => Err("known are info, low, medium, high and critical".to_owned()),
    }
}

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        complain(&format!("internal error at {place}: please report it"));
    }));
    ExitCode::from(run(std::env::args_os().collect(), &mut io::stdout().lock(), io::stdout().is_terminal()))
}

/// Says one line on the standard error.
fn complain(message: &str) {
    // Nobody may be listening any more, and there is no other place to say so.
    let _ = writeln!(io::stderr(), "pve-audit: {}", clean(message));
}

fn run(arguments: Vec<OsString>, out: &mut dyn Write, terminal: bool) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, out),
    };
    let result = match &arguments.command {
        None => audit(&arguments, out, terminal),
        Some(Command::Checks) => printed(&pages::checks(json(&arguments.common, terminal)), out),
        Some(Command::Explain { id }) => explain(&arguments, id, out, terminal),
        Some(Command::Show(asked)) => show(&arguments, asked, out, terminal),
    };
    result.unwrap_or_else(|failure| {
        complain(&failure.message);
        failure.code
    })
}

/// Why the command ends early.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

fn usage(error: &clap::Error, out: &mut dyn Write) -> u8 {
    if error.use_stderr() {
        let text = error.to_string();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let tip =
            lines.find(|line| line.starts_with("tip:")).map(|tip| format!(" ({tip})")).unwrap_or_default();
        complain(&format!("{first}{tip}; see pve-audit --help"));
        return USAGE;
    }
    printed(&error.to_string(), out).unwrap_or(0)
}

fn json(common: &Common, terminal: bool) -> bool {
    match common.format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !terminal,
    }
}

/// Prints text; a reader who has seen enough closes the pipe, and that is fine.
fn printed(text: &str, out: &mut dyn Write) -> Result<u8, Failure> {
    tolerate_closed_pipe(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
    Ok(0)
}

fn tolerate_closed_pipe(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(COULD_NOT_RUN, format!("cannot write the output: {error}")))
        }
        _ => Ok(()),
    }
}

fn explain(arguments: &Arguments, id: &str, out: &mut dyn Write, terminal: bool) -> Result<u8, Failure> {
    let check = catalogue::find(id).ok_or_else(|| {
        let hint = catalogue::closest(id).map(|id| format!("; did you mean `{id}`?")).unwrap_or_default();
        Failure::new(USAGE, format!("there is no check `{id}`{hint}"))
    })?;
    printed(&pages::explain(check, json(&arguments.common, terminal)), out)
}

fn show(
    arguments: &Arguments,
    asked: &ShowArguments,
    out: &mut dyn Write,
    terminal: bool,
) -> Result<u8, Failure> {
    let ShowArguments { fact, id, path, privilege, report, packet, connection } = asked;
    let question =
        Question { ids: id.clone(), paths: path.clone(), privileges: privilege.clone(), report: *report };
    if *fact != show::Name::Access && question != Question::default() {
        let what = "--id, --path, --privilege and --report are for show access";
        return Err(Failure::new(USAGE, what));
    }
    if *fact != show::Name::Reach && packet.from.is_some() {
        return Err(Failure::new(USAGE, "--from, --to and --port are for show reach"));
    }
    if *fact != show::Name::Sshd && connection.is_some() {
        return Err(Failure::new(USAGE, "--connection is for show sshd"));
    }
    let host = open(&arguments.common)?;
    let now = arguments.common.now.unwrap_or_else(clock);
    host.set_clock(now);
    let as_json = json(&arguments.common, terminal);
    if let Packet { from: Some(from), to: Some(to), port: Some((protocol, port)) } = *packet {
        let asked = show::reach::Question { from, to, protocol, port };
        return answered(show::reach::answer(&host, &asked, now.as_second()), as_json, out);
    }
    if let Some(connection) = connection {
        return answered(show::sshd::answer(&host, connection), as_json, out);
    }
    let mut buffered = io::BufWriter::new(out);
    let shown = show::write(&host, *fact, now, &question, as_json, &mut buffered)
        .and_then(|()| buffered.flush().map_err(Refusal::NotWritten));
    match shown {
        Ok(()) => Ok(0),
        Err(Refusal::Question(why)) => Err(Failure::new(USAGE, why)),
        Err(Refusal::Unknown(why)) => Err(Failure::new(COULD_NOT_RUN, why)),
        Err(Refusal::NotWritten(error)) => tolerate_closed_pipe(Err(error)).map(|()| 0),
    }
}

/// Prints the answer to a question.
fn answered(answer: Result<Shown, String>, as_json: bool, out: &mut dyn Write) -> Result<u8, Failure> {
    let shown = answer.map_err(|why| Failure::new(COULD_NOT_RUN, why))?;
    printed(&shown.print(as_json), out)
}

fn open(common: &Common) -> Result<Host, Failure> {
    let root = common.root.clone().unwrap_or_else(|| PathBuf::from("/"));
    let mut files = Files::below(&root).map_err(|message| Failure::new(COULD_NOT_RUN, message))?;
    if common.root.is_some() {
        cluster_database::mount(&mut files);
    }
    if let Some(overlay) = &common.overlay {
        files.lay_over(overlay).map_err(|message| Failure::new(COULD_NOT_RUN, message))?;
    }
    let live = match common.root {
        Some(_) => None,
        None => Some(Live::here().map_err(|message| Failure::new(COULD_NOT_RUN, message))?),
    };
    Ok(Host::new(files, live, common.assume_pve))
}

fn audit(arguments: &Arguments, out: &mut dyn Write, terminal: bool) -> Result<u8, Failure> {
    let Audit { output, only, skip, fail_on, verbose, quiet } = &arguments.audit;
    let policy = Policy { only: only.clone(), skip: skip.clone(), fail_on: *fail_on };
    let host = open(&arguments.common)?;
    let checks = catalogue::with_built_in(site_checks(&host));
    let selected = policy.selected(&checks).map_err(|message| Failure::new(USAGE, message))?;
    let now = arguments.common.now.unwrap_or_else(clock);
    if host.is_proxmox() == Some(false) {
        complain(
            "this is not a Proxmox VE node: what applies to any Debian is audited, the rest is not applicable",
        );
    }
    let named =
        |folder: &Option<PathBuf>| folder.as_ref().map(|folder| folder.to_string_lossy().into_owned());
    let root = named(&arguments.common.root);
    let mut report = crate::audit(&host, &selected, &policy, now, root.as_deref());
    report.run.overlay = named(&arguments.common.overlay).as_deref().map(clean);
    if *verbose {
        list_inputs(&host);
    }
    let as_json = json(&arguments.common, terminal && output.is_none());
    let style = Style { colour: terminal && output.is_none() && no_colour_is_unset(), verbose: *verbose };
    match output {
        Some(path) => output::write(path, |file| render(&report, as_json, style, file))
            .map_err(|message| Failure::new(COULD_NOT_RUN, message))?,
        None if *quiet => {}
        None => {
            let mut buffered = io::BufWriter::new(out);
            tolerate_closed_pipe(
                render(&report, as_json, style, &mut buffered).and_then(|()| buffered.flush()),
            )?;
        }
    }
    let code = report.run.exit_code;
    // The process ends now: to free some hundred thousand pieces of memory one by one only costs time.
    let _never_freed = mem::ManuallyDrop::new((host, report));
    Ok(code)
}

/// The advisories of the site that are understood; a check of its own tells of the others.
fn site_checks(host: &Host) -> Vec<&'static Check> {
    let site = host.site_advisories().value.as_ref().map(Vec::as_slice).unwrap_or_default();
    let understood = site.iter().filter_map(|advisory| {
        let file = catalogue::site::read(&advisory.name, advisory.text.as_ref().ok()?).ok()?;
        catalogue::site::check(&advisory.name, file)
    });
    understood.collect()
}

fn render(report: &Report, as_json: bool, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if as_json { report::json::write(report, out) } else { report::text::write(report, style, out) }
}

/// <https://no-color.org>: present and not empty means no colour.
fn no_colour_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[expect(clippy::disallowed_methods, reason = "the clock is read here, once per run")]
fn clock() -> Timestamp {
    Timestamp::now()
}

fn list_inputs(host: &Host) {
    for input in host.files.inputs() {
        let outcome = match input.outcome {
            InputOutcome::Examined => "looked at".to_owned(),
            InputOutcome::Listed { entries } => format!("{entries} entries"),
            InputOutcome::Read { bytes } => format!("{bytes} bytes"),
            InputOutcome::Trouble(kind) => kind.to_string(),
        };
        complain(&format!("{}: {outcome}", input.path));
    }
}
