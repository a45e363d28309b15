//! One function per assertion kind. A kind names the fact it takes, the subject it judges and the value it compares.

mod advisory;
mod expect;
mod files;
mod kernel;
mod packages;
mod sshd;

use super::{Judged, Look};
use crate::catalogue::Assertion;

/// Judges an assertion.
pub(super) fn judge(look: &Look<'_>, assertion: &'static Assertion) -> Judged {
    match assertion {
        Assertion::Sysctl { key, expect } => kernel::sysctl(look, key, expect),
        Assertion::KernelArgument { name, bad_values, good_values } => {
            kernel::argument(look, name, bad_values, good_values)
        }
        Assertion::Module { names } => kernel::modules(look, names),
        Assertion::File { path, mode_at_most, uid, gid, missing } => files::file(
            look,
            path,
            &files::Wanted { mode_at_most: *mode_at_most, uid: *uid, gid, missing: *missing },
        ),
        Assertion::Mount { path, options } => files::mount(look, path, options),
        Assertion::Option { path, key, separator, default, also, package, expect } => files::option(
            look,
            path,
            &files::Keys { first: (key, default), also, separator: *separator, package },
            expect,
        ),
        Assertion::Package { any_of, installed, units } => packages::package(look, any_of, *installed, units),
        Assertion::Unit { name, also, package, enabled } => {
            packages::unit(look, &packages::Wanted { name, also, package, enabled: *enabled })
        }
        Assertion::Sshd { keyword, expect } => sshd::setting(look, keyword, expect),
        Assertion::Advisory(advisory) => advisory::judge(look, advisory),
    }
}
