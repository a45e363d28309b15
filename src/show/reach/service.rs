//! What the service behind a port refuses by itself.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use super::{ShownLine, harmless};
use crate::host::firewall::service::Service;

/// A service for machines.
#[derive(Serialize)]
pub(super) struct ShownService<'a> {
    name: &'static str,
    /// The addresses it listens on; none if it is all of them.
    addresses: Vec<IpAddr>,
    narrowed_by: Vec<ShownSetting<'a>>,
}

#[derive(Serialize)]
struct ShownSetting<'a> {
    key: &'static str,
    #[serde(flatten)]
    place: ShownLine<'a>,
}

/// A service that narrows who reaches it.
pub(super) fn shown<'a>(service: &Service<'a>) -> Option<ShownService<'a>> {
    let settings = service.settings().into_iter().map(|setting| ShownSetting {
        key: setting.key,
        place: ShownLine { path: harmless(setting.path), line: setting.line },
    });
    service.is_narrowed().then(|| ShownService {
        name: service.name,
        addresses: service.addresses.iter().map(|one| one.address).collect(),
        narrowed_by: settings.collect(),
    })
}

/// The same for people: the addresses it listens on. The lists stand beside those they refuse.
pub(super) fn words(service: &Service<'_>) -> Option<String> {
    /// Most addresses that are listed.
    const MOST: usize = 4;
    let mut settings = service.addresses.iter().map(|one| one.setting);
    let first = settings.next()?;
    let line = first.line.map(|line| format!(":{line}")).unwrap_or_default();
    let some = service.addresses.iter().take(MOST).map(|one| one.address.to_string());
    let some = some.collect::<Vec<_>>().join(", ");
    let more = service.addresses.len().saturating_sub(MOST);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let path: Cow<'_, str> = harmless(first.path);
    Some(format!("{} only on {some}{more} ({} {path}{line})", service.name, first.key))
}
