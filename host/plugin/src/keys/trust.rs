//! Believing a certificate that came later: its chain up to the roots of the slot that vouches for it, its time and
//! its name.

use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

use super::certificate;
use super::slot::{Material, Member, SlotKeys, read_certificates};
use super::{KeyUse, Keys, sha256_hex};
use crate::contract::Trust;

/// Certificates of one text: a leaf and what leads to its root.
const MOST_CERTIFICATES: usize = 8;
/// Signatures that are verified on the way to a root.
const MOST_CHECKS: usize = 16;

/// The pattern of any name at all.
pub(crate) const ANY: &str = "*";

/// Where the word of a slot's secret for a certificate is looked for.
#[derive(Clone, Copy)]
pub(crate) enum Vouched<'a> {
    /// In the audit of the call that hands the certificate over.
    In(&'a [KeyUse]),
    /// It was found there once; the certificate was kept safe since.
    Before,
}

impl Keys {
    /// The leaf of `encoded`, if the slot's trust holds for it at that time. The error is the rest of a sentence.
    pub(crate) fn trusted(
        &self,
        slot: &SlotKeys,
        encoded: &[u8],
        vouched: Vouched<'_>,
        now_ms: i64,
    ) -> Result<Member, String> {
        let trust = slot.trust.as_ref().ok_or("trusts no one")?;
        let by = self.slot(&trust.by).ok_or("trusts an unknown slot")?;
        if certificate::certificates_in(encoded)?.len() > MOST_CERTIFICATES {
            return Err(format!("was given more than {MOST_CERTIFICATES} certificates"));
        }
        let mut members = read_certificates(encoded)?.into_iter();
        let leaf = members.next().ok_or("was given no certificate")?;
        let Material::Certificate { der, key: Some(_) } = &leaf.material else {
            return Err("was given a certificate without a usable key".into());
        };
        let cert = certificate::read(der).ok_or("was given an unreadable certificate")?;
        let now = ASN1Time::from_timestamp(now_ms.div_euclid(1000)).map_err(|_| "has no clock")?;
        if !cert.validity().is_valid_at(now) {
            return Err("was given a certificate that is not valid now".into());
        }
        if !named(trust, &cert) {
            return Err("was given a certificate of another name".into());
        }
        let vouched = if by.kind.is_secret() {
            match vouched {
                Vouched::In(audit) => unsealed(&trust.by, encoded, audit),
                Vouched::Before => true,
            }
        } else {
            let rest: Vec<Member> = members.collect();
            chained(cert, &rest, by, now)
        };
        if !vouched {
            return Err(format!("was given a certificate that {} does not vouch for", trust.by));
        }
        Ok(Member { brought: !by.kind.is_secret(), ..leaf })
    }
}

fn named(trust: &Trust, cert: &X509Certificate<'_>) -> bool {
    let name = certificate::common_name(cert.subject());
    trust.names.iter().any(|pattern| {
        pattern == ANY || name.as_deref().is_some_and(|name| name_matches(pattern, name))
    })
}

/// Each part of a name is matched by itself: authorities join the holder, his number and more with `@`, and who chooses one of
/// those could otherwise write another into it.
fn name_matches(pattern: &str, name: &str) -> bool {
    let (patterns, parts) = (pattern.split('@'), name.split('@'));
    patterns.clone().count() == parts.clone().count()
        && patterns.zip(parts).all(|(pattern, part)| star_matches(pattern, part))
}

/// `*` stands for anything, nothing too.
fn star_matches(pattern: &str, text: &str) -> bool {
    let mut literals = pattern.split('*');
    let Some(mut rest) = literals.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let literals: Vec<&str> = literals.collect();
    let Some((last, middle)) = literals.split_last() else {
        return rest.is_empty();
    };
    for literal in middle {
        match rest.find(literal) {
            Some(at) => rest = &rest[at + literal.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether that slot's secret opened exactly these bytes in this call.
fn unsealed(by: &str, encoded: &[u8], audit: &[KeyUse]) -> bool {
    let hash = sha256_hex(encoded);
    audit.iter().any(|used| {
        used.ok
            && used.operation == "open"
            && used.slot == by
            && used.output_sha256.as_deref() == Some(hash.as_str())
    })
}

/// Whether certificates of `between` lead from `leaf` to a root. Each is followed once.
fn chained(leaf: X509Certificate<'_>, between: &[Member], roots: &SlotKeys, now: ASN1Time) -> bool {
    let mut checks = 0;
    let mut followed = vec![false; between.len()];
    let mut waiting = vec![leaf];
    while let Some(cert) = waiting.pop() {
        if roots.members.iter().any(|root| issuer(&cert, root, now, &mut checks).is_some()) {
            return true;
        }
        for (member, followed) in between.iter().zip(&mut followed) {
            if !*followed && let Some(next) = issuer(&cert, member, now, &mut checks) {
                *followed = true;
                waiting.push(next);
            }
        }
    }
    false
}

/// `member`, if it is a certificate authority, valid now, that signed `cert`.
fn issuer<'a>(
    cert: &X509Certificate<'_>,
    member: &'a Member,
    now: ASN1Time,
    checks: &mut usize,
) -> Option<X509Certificate<'a>> {
    let Material::Certificate { der, .. } = &member.material else {
        return None;
    };
    let issuer = certificate::read(der)?;
    let named = issuer.is_ca()
        && issuer.validity().is_valid_at(now)
        && issuer.subject().as_raw() == cert.issuer().as_raw();
    if !named || *checks == MOST_CHECKS {
        return None;
    }
    *checks += 1;
    cert.verify_signature(Some(issuer.public_key())).ok().map(|()| issuer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(star_matches("*", ""));
        assert!(star_matches("a*c", "ac"));
        assert!(!star_matches("abc", "abcd"));
        assert!(!star_matches("", "a"));
    }

    #[test]
    fn a_star_does_not_reach_into_the_next_part_of_a_name() {
        let pattern = "041@*@Bank@*";
        assert!(name_matches(pattern, "041@8310@Bank@00016495"));
        assert!(name_matches("041@*@00016495", "041@8310@00016495"));
        assert!(!name_matches("041@*@00016495", "041@8310@00016495x"));
        for name in ["041@x@Shop@Bank@1", "041@x@Bank@1@2", "041@Bank@1", "x041@1@Bank@1", ""] {
            assert!(!name_matches(pattern, name), "{name}");
        }
    }
}
