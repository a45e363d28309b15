//! How the web interface encrypts.

use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::Located;
use crate::formats::openssl_ciphers::{self, Ciphers, has_sha1, is_broken, is_forward_secret};
use crate::formats::pem_subject::prime_bits;
use crate::host::proxy::PROXY_DEFAULT;
use crate::host::{Fact, Stop};
use crate::outcome::{Evidence, Judgement, Subject};

/// The suites pveproxy offers up to TLS 1.2 where `CIPHERS` is not set (`PVE::APIServer::AnyEvent`).
pub(super) const DEFAULT_CIPHERS: &str = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:\
    ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:\
    ECDHE-RSA-AES128-SHA256";

/// The smallest prime for a key exchange that is not weak, in bits.
const PRIME_BITS: u32 = 2048;

/// A setting of the web interface; `None` where it is not set.
fn setting<'h>(look: &Look<'h>, key: &str) -> Result<Option<&'h Located<String>>, Stop> {
    let settings = look.take(look.host.proxy())?.as_ref();
    Ok(settings.and_then(|settings| settings.settings.get(key)))
}

fn is_on(look: &Look<'_>, key: &str) -> Result<bool, Stop> {
    Ok(setting(look, key)?.is_some_and(|setting| setting.value == "1"))
}

/// What the web interface accepts up to TLS 1.2.
fn ciphers(look: &Look<'_>) -> Result<Ciphers, Stop> {
    let list = setting(look, "CIPHERS")?.map_or(DEFAULT_CIPHERS, |setting| setting.value.as_str());
    let ciphers = openssl_ciphers::read(list);
    if ciphers.uncertain {
        return Err(Stop::unknown(PROXY_DEFAULT, "has a word in `CIPHERS` whose suites are not known here"));
    }
    if ciphers.suites.is_empty() {
        return Err(Stop::unknown(PROXY_DEFAULT, "names no suite in `CIPHERS` that OpenSSL knows"));
    }
    Ok(ciphers)
}

pub(crate) fn weak_ciphers(look: &Look<'_>) -> Judged {
    if is_on(look, "DISABLE_TLS_1_2")? {
        return Err(Stop::not_applicable("the web interface speaks TLS 1.3 only, which has no weak suites"));
    }
    let ciphers = ciphers(look)?;
    let line = setting(look, "CIPHERS")?.map(|setting| setting.line);
    let of = |is_bad: fn(&str) -> bool| ciphers.suites.iter().copied().find(|suite| is_bad(suite));
    let evidence =
        |suite: &str| Evidence { line, ..Evidence::of(PROXY_DEFAULT) }.key("CIPHERS").observed(suite);
    let judgement = if let Some(suite) = of(is_broken) {
        Judgement::fail("the web interface accepts connections that are not encrypted, not authenticated or guarded by MD5")
            .severity(Severity::High)
            .with(evidence(suite))
    } else if let Some(suite) = of(|suite| !is_forward_secret(suite)) {
        Judgement::fail("what was recorded of the web interface can be read by whoever steals its key later")
            .with(evidence(suite))
    } else if let Some(suite) = of(has_sha1) {
        Judgement::fail(
            "the web interface accepts suites with SHA-1, which TLS 1.1 can be spoken with as well",
        )
        .severity(Severity::Low)
        .with(evidence(suite))
    } else {
        Judgement::pass("the web interface accepts only suites with forward secrecy and strong hashes")
    };
    look.one(Subject::node(), judgement)
}

pub(crate) fn tls_1_3_off(look: &Look<'_>) -> Judged {
    let judgement = match setting(look, "DISABLE_TLS_1_3")? {
        Some(setting) if setting.value == "1" => Judgement::fail("the web interface does not speak TLS 1.3")
            .with(
                Evidence::at(PROXY_DEFAULT, setting.line).key("DISABLE_TLS_1_3").observed("1").expected("0"),
            ),
        _ => Judgement::pass("the web interface speaks TLS 1.3"),
    };
    look.one(Subject::node(), judgement)
}

pub(crate) fn weak_key_exchange_parameters(look: &Look<'_>) -> Judged {
    let Some(named) = setting(look, "DHPARAMS")? else {
        return Err(Stop::not_applicable(
            "no file of key exchange parameters is set: upstream's have 2048 bits",
        ));
    };
    if !ciphers(look)?.suites.iter().any(|suite| suite.starts_with("DHE-") || suite.starts_with("ADH-")) {
        return Err(Stop::not_applicable("no suite that uses the parameters is accepted"));
    }
    let path = named.value.as_str();
    let bits = look.own(Fact::gather(&look.host.files, |gather| {
        let text = gather.required(path)?;
        prime_bits(&text).ok_or_else(|| Stop::unknown(path, "holds no parameters that could be read"))
    }))?;
    let evidence = Evidence::of(path)
        .key("prime")
        .observed(format!("{bits} bits"))
        .expected(format!("{PRIME_BITS} bits"));
    let named = Evidence::at(PROXY_DEFAULT, named.line).key("DHPARAMS").observed(path);
    let judgement = if bits < PRIME_BITS {
        Judgement::fail(format!("the web interface exchanges keys with a prime of {bits} bits"))
    } else {
        Judgement::pass(format!("the web interface exchanges keys with a prime of {bits} bits"))
    };
    look.one(Subject::node(), judgement.with(evidence).with(named))
}
