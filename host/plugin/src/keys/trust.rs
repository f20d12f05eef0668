//! Believing a certificate that came later: its chain up to the roots of the slot that vouches for it, its time and
//! its name.

use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

use super::certificate;
use super::slot::{Material, Member, SlotKeys, read_certificates};
use super::{KeyUse, Keys, sha256_hex};
use crate::contract::Trust;

/// Certificates between a leaf and its root that are followed.
const DEEPEST: usize = 4;

impl Keys {
    /// The leaf of `encoded`, if the slot's trust holds for it at that time. The error is the rest of a sentence.
    pub(crate) fn trusted(
        &self,
        slot: &SlotKeys,
        encoded: &[u8],
        audit: &[KeyUse],
        now_ms: i64,
    ) -> Result<Member, String> {
        let trust = slot.trust.as_ref().ok_or("trusts no one")?;
        let by = self.slot(&trust.by).ok_or("trusts an unknown slot")?;
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
            unsealed(&trust.by, encoded, audit)
        } else {
            let rest: Vec<Member> = members.collect();
            chained(&cert, &rest, by, now, DEEPEST)
        };
        if !vouched {
            return Err(format!(
                "was given a certificate that {} does not vouch for",
                trust.by
            ));
        }
        Ok(leaf)
    }
}

fn named(trust: &Trust, cert: &X509Certificate<'_>) -> bool {
    let Some(name) = certificate::common_name(cert.subject()) else {
        return trust.names.iter().any(|pattern| pattern == "*");
    };
    trust
        .names
        .iter()
        .any(|pattern| star_matches(pattern, &name))
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

fn chained(
    cert: &X509Certificate<'_>,
    between: &[Member],
    roots: &SlotKeys,
    now: ASN1Time,
    depth: usize,
) -> bool {
    let signed_by = |member: &Member| issuer_of(cert, member, now);
    if roots.members.iter().any(|root| signed_by(root)) {
        return true;
    }
    depth > 0
        && between.iter().any(|member| {
            signed_by(member)
                && der_of(member)
                    .and_then(certificate::read)
                    .is_some_and(|next| chained(&next, between, roots, now, depth - 1))
        })
}

fn der_of(member: &Member) -> Option<&[u8]> {
    match &member.material {
        Material::Certificate { der, .. } => Some(der),
        _ => None,
    }
}

/// Whether `member` is a certificate authority, valid now, that signed `cert`.
fn issuer_of(cert: &X509Certificate<'_>, member: &Member, now: ASN1Time) -> bool {
    let Some(issuer) = der_of(member).and_then(certificate::read) else {
        return false;
    };
    issuer.is_ca()
        && issuer.validity().is_valid_at(now)
        && issuer.subject().as_raw() == cert.issuer().as_raw()
        && cert.verify_signature(Some(issuer.public_key())).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(star_matches("*", ""));
        assert!(star_matches("a*c", "ac"));
        assert!(star_matches("041@*@00016495", "041@8310@00016495"));
        assert!(!star_matches("041@*@00016495", "041@8310@00016495x"));
        assert!(!star_matches("abc", "abcd"));
        assert!(!star_matches("", "a"));
    }
}
