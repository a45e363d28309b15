//! The only door to what is running and is no file: kernel release, uptime, memory.
//!
//! Under `--root` there is no [`Live`], so no fact of this machine can be mistaken for one of the audited host.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door: the one module that asks the running system"
)]

use nix::sys::utsname::uname;
use nix::unistd::geteuid;
use sysinfo::System;

/// What the running machine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The node name as the kernel has it.
    pub nodename: String,
    /// The release of the running kernel, such as `6.14.11-4-pve`.
    pub kernel_release: String,
    /// The version text of the running kernel.
    pub kernel_version: String,
    /// Time of the last boot, seconds since 1970; `None` where the kernel does not tell.
    pub booted: Option<u64>,
}

impl Live {
    /// Asks the running system.
    ///
    /// # Errors
    /// When the kernel refuses `uname`.
    pub fn here() -> Result<Self, String> {
        let name = uname().map_err(|errno| format!("uname: {}", errno.desc()))?;
        let text = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        Ok(Self {
            nodename: text(name.nodename()),
            kernel_release: text(name.release()),
            kernel_version: text(name.version()),
            booted: System::boot_time().ok(),
        })
    }
}

/// The effective user id of this process: everything but root sees less.
pub fn effective_uid() -> u32 {
    geteuid().as_raw()
}
