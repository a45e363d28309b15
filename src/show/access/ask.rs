//! What is asked of the access control: of whom, on which paths, which privileges.

use std::collections::BTreeSet;

use super::collect::Access;
use crate::formats::user_cfg::acl_path::normalise;
use crate::formats::user_cfg::names::{is_token_id, is_user_id};
use crate::formats::user_cfg::roles::{is_privilege_of_some_release, privilege, privileges};

/// What to show, as it was typed. Nothing typed asks for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Users and tokens, by id.
    pub ids: Vec<String>,
    /// Paths, whether or not an ACL names them.
    pub paths: Vec<String>,
    /// Privileges; who has one of them is shown.
    pub privileges: Vec<String>,
    /// Whether to print a review to sign instead.
    pub report: bool,
}

/// A question that makes sense on this host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// `None` is everybody.
    pub(super) ids: Option<BTreeSet<String>>,
    /// As they are resolved: a leading slash, no other one too many. Empty is all that matter.
    pub(super) paths: BTreeSet<String>,
    /// Empty is all.
    pub(super) privileges: BTreeSet<&'static str>,
}

impl Asked {
    /// Understands a question.
    ///
    /// # Errors
    /// What is wrong with it, in one sentence.
    pub(super) fn of(question: &Question, access: &Access<'_>) -> Result<Self, String> {
        let ids: Result<BTreeSet<String>, String> = question.ids.iter().map(|id| known(id, access)).collect();
        let ids = ids?;
        Ok(Self {
            ids: (!ids.is_empty()).then_some(ids),
            paths: question.paths.iter().map(|path| tidy(path)).collect::<Result<_, _>>()?,
            privileges: question
                .privileges
                .iter()
                .map(|name| named(name, access))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether this user or token was asked for.
    pub(super) fn wants(&self, id: &str) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }

    /// Whether only part of everything was asked for.
    pub(super) fn is_narrow(&self) -> bool {
        *self != Self::default()
    }

    /// Whether one of these privileges was asked for.
    pub(super) fn wants_one_of(&self, held: &BTreeSet<&'static str>) -> bool {
        self.privileges.is_empty() || !self.privileges.is_disjoint(held)
    }
}

/// An id that exists, or that does not and holds rights all the same.
fn known(id: &str, access: &Access<'_>) -> Result<String, String> {
    if access.identities.contains_key(id) || access.missing.contains_key(id) {
        return Ok(id.to_owned());
    }
    Err(if is_token_id(id) {
        format!("there is no token `{id}`")
    } else if is_user_id(id) {
        format!("there is no user `{id}`, and no access list gives that name anything")
    } else {
        format!("`{id}` is neither a user (name@realm) nor a token (name@realm!token)")
    })
}

/// A path as upstream's resolution splits it.
fn tidy(text: &str) -> Result<String, String> {
    if normalise(text).is_none() {
        return Err(format!(
            "`{text}` is no path of access control: letters, digits, `.`, `-`, `_` and `/` make one"
        ));
    }
    let parts = text.split('/').filter(|part| !part.is_empty());
    let path = parts.fold(String::new(), |path, part| path + "/" + part);
    Ok(if path.is_empty() { "/".to_owned() } else { path })
}

fn named(name: &str, access: &Access<'_>) -> Result<&'static str, String> {
    let release = access.cfg.release;
    privilege(name, release).ok_or_else(|| {
        let same = |known: &&'static str| known.eq_ignore_ascii_case(name);
        let hint = match privileges(release).into_iter().find(same) {
            Some(known) => format!("; did you mean `{known}`?"),
            None if is_privilege_of_some_release(name) => ": another release has it".to_owned(),
            None => String::new(),
        };
        format!("Proxmox VE {} has no privilege `{name}`{hint}", release.major())
    })
}
