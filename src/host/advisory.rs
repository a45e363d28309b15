//! What a single advisory needs and nothing else does.

use super::{Fact, Host};

/// The module that checks passwords and tickets.
pub const ACCESS_CONTROL: &str = "/usr/share/perl5/PVE/AccessControl.pm";

impl Host {
    /// How often the access control module contains `words`; `None` where there is no such module.
    pub fn count_in_access_control(&self, words: &str) -> Fact<Option<usize>> {
        Fact::gather(&self.files, |gather| {
            Ok(gather.optional(ACCESS_CONTROL)?.map(|text| text.matches(words).count()))
        })
    }
}
