//! What a key does: sign, verify, seal, open and derive, on aws-lc, as far as the slot's `uses` go.

use std::borrow::Cow;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey,
    Pkcs1PublicEncryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::slot::{Material, Member, SlotKeys};
use super::uses::{Algorithm, Use, Verb};
use crate::contract::{Piece, SigningError};

/// An error for a plugin: a code of a fixed set, and a sentence without any input.
///
/// `unknown-slot`, `empty-slot`, `missing-key`, `not-permitted`, `invalid`, `untrusted`, `failed`.
pub(crate) fn refusal(code: &str, message: impl Into<String>) -> SigningError {
    SigningError { code: code.to_owned(), message: message.into() }
}

/// The use of that slot that allows this, if one does.
pub(crate) fn permitted<'a>(
    slot: &'a SlotKeys,
    verb: Verb,
    algorithm: &str,
    pieces: Option<&[Piece]>,
) -> Result<&'a Use, SigningError> {
    let wanted = Algorithm::parse(algorithm);
    slot.uses
        .iter()
        .filter(|use_| use_.verb == verb && Some(use_.algorithm) == wanted)
        .find(|use_| pieces.is_none_or(|pieces| use_.admits(pieces)))
        .ok_or_else(|| {
            let (verb, name) = (verb.name(), &slot.name);
            let what = format!("slot {name} may not {verb} {algorithm} of data of this shape");
            refusal("not-permitted", what)
        })
}

/// The pieces in a row, with `secret` where they call for it.
fn assemble(pieces: &[Piece], secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = pieces.iter().map(|piece| text_of(piece).map_or(secret.len(), <[u8]>::len)).sum();
    // All of it at once: a buffer that grew would leave copies of the secret behind.
    let mut data = Zeroizing::new(Vec::with_capacity(length));
    for piece in pieces {
        data.extend_from_slice(text_of(piece).unwrap_or(secret));
    }
    data
}

fn text_of(piece: &Piece) -> Option<&[u8]> {
    match piece {
        Piece::Text(bytes) => Some(bytes),
        Piece::Secret => None,
    }
}

/// Only the text of the pieces, which is no secret.
fn plain(pieces: &[Piece]) -> Cow<'_, [u8]> {
    match pieces {
        [Piece::Text(bytes)] => Cow::Borrowed(bytes),
        _ => Cow::Owned(pieces.iter().filter_map(text_of).flatten().copied().collect()),
    }
}

/// How much text the pieces hold, in bytes.
pub(crate) fn text_length(pieces: &[Piece]) -> usize {
    pieces.iter().filter_map(text_of).map(<[u8]>::len).sum()
}

/// SHA-256 of the text of the pieces, in hexadecimal: what the audit keeps.
pub(crate) fn text_sha256(pieces: &[Piece]) -> String {
    let mut sha = digest::Context::new(&digest::SHA256);
    pieces.iter().filter_map(text_of).for_each(|text| sha.update(text));
    hex::encode(sha.finish())
}

/// Lets aws-lc gather its chance, on a thread of its own: once in a process that takes it tens of milliseconds, which would
/// be taken from the first call that signs.
pub(crate) fn gather_chance() {
    let first = || aws_lc_rs::rand::fill(&mut [0; 1]);
    // Without the thread it gathers when it first signs.
    let _ = std::thread::Builder::new().name("signing-chance".into()).spawn(first);
}

/// Signs with the slot's current key.
pub(crate) fn sign(use_: &Use, member: &Member, pieces: &[Piece]) -> Result<Vec<u8>, SigningError> {
    if let Some(secret) = member.secret() {
        return keyed(use_.algorithm, secret, pieces)
            .ok_or_else(|| refusal("not-permitted", "a secret does not sign like that"));
    }
    match (&member.material, use_.algorithm) {
        (Material::Private { key, .. }, Algorithm::RsaPkcs1Sha256) => {
            let data = plain(pieces);
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &data, &mut signature)
                .map_err(|_| refusal("failed", "signing failed"))?;
            Ok(signature)
        }
        _ => Err(refusal("not-permitted", "this key does not sign")),
    }
}

/// A keyed hash: HMAC, or a plain hash over text that holds the secret.
fn keyed(algorithm: Algorithm, secret: &[u8], pieces: &[Piece]) -> Option<Vec<u8>> {
    let data = assemble(pieces, secret);
    let mac = |algorithm| {
        let key = hmac::Key::new(algorithm, secret);
        hmac::sign(&key, &data).as_ref().to_vec()
    };
    Some(match algorithm {
        Algorithm::HmacSha256 => mac(hmac::HMAC_SHA256),
        Algorithm::HmacSha1 => mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        Algorithm::Md5 => Md5::digest(data.as_slice()).to_vec(),
        Algorithm::Sha256 => digest::digest(&digest::SHA256, &data).as_ref().to_vec(),
        Algorithm::Equal => data.to_vec(),
        _ => return None,
    })
}

/// Whether the signature is that key's. Comparisons take the same time wherever they differ.
pub(crate) fn verify(use_: &Use, member: &Member, pieces: &[Piece], signature: &[u8]) -> bool {
    if let Some(secret) = member.secret() {
        return keyed(use_.algorithm, secret, pieces)
            .map(Zeroizing::new)
            .is_some_and(|own| verify_slices_are_equal(&own, signature).is_ok());
    }
    let Some(key) = member.public_key() else {
        return false;
    };
    let data = plain(pieces);
    match use_.algorithm {
        Algorithm::RsaPkcs1Sha256 => key.sha256.verify_sig(&data, signature).is_ok(),
        Algorithm::RsaPkcs1Sha1 => key.sha1.verify_sig(&data, signature).is_ok(),
        _ => false,
    }
}

fn gcm(secret: &[u8], nonce: &[u8]) -> Option<(LessSafeKey, Nonce)> {
    let key = UnboundKey::new(&AES_256_GCM, secret).ok()?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    Some((LessSafeKey::new(key), nonce))
}

/// Opens what was sealed with AES-256-GCM (12 bytes of nonce, the tag behind the ciphertext). Any failure is the same.
pub(crate) fn open(member: &Member, nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (key, nonce) = gcm(member.secret()?, nonce)?;
    let mut buffer = sealed.to_vec();
    let length = key.open_in_place(nonce, Aad::from(aad), &mut buffer).ok()?.len();
    buffer.truncate(length);
    Some(buffer)
}

/// Seals under the slot's current key: RSA to a provider's public key (OAEP, or PKCS#1 v1.5 where the provider wants that:
/// RFC 8017 7.1 and 7.2), or AES-256-GCM.
pub(crate) fn seal(
    use_: &Use,
    member: &Member,
    nonce: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let invalid = || refusal("invalid", "this key cannot seal that");
    if use_.algorithm == Algorithm::Aes256Gcm {
        let (key, nonce) =
            member.secret().and_then(|secret| gcm(secret, nonce)).ok_or_else(invalid)?;
        let mut buffer = plain.to_vec();
        key.seal_in_place_append_tag(nonce, Aad::from(aad), &mut buffer).map_err(|_| invalid())?;
        return Ok(buffer);
    }
    let public = member.public_key().ok_or_else(invalid)?;
    let key = PublicEncryptingKey::from_der(&public.spki).map_err(|_| invalid())?;
    let sealed = match use_.algorithm {
        Algorithm::RsaOaepSha1 => seal_oaep(key, &OAEP_SHA1_MGF1SHA1, plain),
        Algorithm::RsaOaepSha256 => seal_oaep(key, &OAEP_SHA256_MGF1SHA256, plain),
        Algorithm::RsaPkcs1 => seal_pkcs1(key, plain),
        _ => return Err(invalid()),
    };
    sealed.ok_or_else(|| refusal("invalid", "too long for this key"))
}

fn seal_oaep(
    key: PublicEncryptingKey,
    algorithm: &'static OaepAlgorithm,
    plain: &[u8],
) -> Option<Vec<u8>> {
    let key = OaepPublicEncryptingKey::new(key).ok()?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let length = key.encrypt(algorithm, plain, &mut sealed, None).ok()?.len();
    sealed.truncate(length);
    Some(sealed)
}

fn seal_pkcs1(key: PublicEncryptingKey, plain: &[u8]) -> Option<Vec<u8>> {
    let key = Pkcs1PublicEncryptingKey::new(key).ok()?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let length = key.encrypt(plain, &mut sealed).ok()?.len();
    sealed.truncate(length);
    Some(sealed)
}

/// A key made from a slot's secret: lowercase hexadecimal of its MD5, the one derivation that providers use.
pub(crate) fn derive(use_: &Use, member: &Member, data: &[u8]) -> Result<Member, SigningError> {
    match (use_.algorithm, member.secret()) {
        (Algorithm::Md5Hex, Some(secret)) if data.is_empty() => {
            let digest = Zeroizing::new(hex::encode(Md5::digest(secret)));
            Ok(Member::derived(Zeroizing::new(digest.as_bytes().to_vec())))
        }
        _ => Err(refusal("invalid", "this slot derives nothing like that")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret_of(bytes: &[u8]) -> Member {
        Member::derived(Zeroizing::new(bytes.to_vec()))
    }

    fn text(s: &str) -> Piece {
        Piece::Text(s.as_bytes().to_vec())
    }

    #[test]
    fn keyed_hashes_match_published_ones() {
        // The v2 sample of a provider's public documentation.
        let member = secret_of(b"192006250b4c09247ec02edce69f6a2d");
        let data = "appid=wxd930ea5d5a258f4f&body=test&device_info=1000&mch_id=10000100\
                    &nonce_str=ibuaiVcKdpRxkhJA&key=";
        let pieces = [text(data), Piece::Secret];
        let md5 = Use::parse("sign md5 *&key={secret}").unwrap();
        let mac = Use::parse("verify hmac-sha256 *&key={secret}").unwrap();
        assert_eq!(
            hex::encode_upper(sign(&md5, &member, &pieces).unwrap()),
            "9A0A8659F005D6984697E2CA0A9CF3B7"
        );
        let tag = hex::decode("6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6");
        let mut tag = tag.unwrap();
        assert!(verify(&mac, &member, &pieces, &tag));
        tag[31] ^= 1;
        assert!(!verify(&mac, &member, &pieces, &tag));
        assert!(!verify(&mac, &member, &pieces, b""));
    }

    #[test]
    fn gcm_opens_a_known_message_and_nothing_else() {
        use base64::Engine as _;
        let member = secret_of(b"53D67FCB97E68F9998CBD17ED7A8D1E2");
        let sealed = base64::engine::general_purpose::STANDARD
            .decode(concat!(
                "x7mHTw1q4L2rClC6LjxaSR2FLaIHK4IEksdWKupLWs2HdFDvbUke367PsN1ban0QcM/e2hrwcdESFOrE",
                "u3CLBU7Fb8bGD+fsffGLchj6BfAW7U2/DCjLP0OlvQKR3Jio3kTjHdGwh3q8VB3F0OcDg25xDt4fvAp9"
            ))
            .unwrap();
        let plain = open(&member, b"4196a5b75276", b"transaction", &sealed).unwrap();
        assert_eq!(
            String::from_utf8(plain).unwrap(),
            concat!(
                r#"{"mchid":"1600314069","out_trade_no":"T1","trade_state":"SUCCESS","#,
                r#""amount":{"total":1,"currency":"CNY"}}"#
            )
        );
        assert!(open(&member, b"4196a5b75276", b"", &sealed).is_none());
        assert!(open(&member, b"4196a5b7527", b"transaction", &sealed).is_none());
        assert!(open(&member, b"4196a5b75276", b"transaction", &sealed[1..]).is_none());
        let use_ = Use::parse("seal aes-256-gcm").unwrap();
        let again = seal(&use_, &member, b"4196a5b75276", b"a", b"hello").unwrap();
        assert_eq!(open(&member, b"4196a5b75276", b"a", &again).unwrap(), b"hello");
    }

    #[test]
    fn a_secret_is_compared_whole() {
        let member = secret_of(b"a shared token of the merchant");
        let equal = Use::parse("verify equal").unwrap();
        let pieces = [Piece::Secret];
        assert!(verify(&equal, &member, &pieces, b"a shared token of the merchant"));
        assert!(!verify(&equal, &member, &pieces, b"a shared token of the merchan"));
        assert!(!verify(&equal, &member, &pieces, b""));
    }

    #[test]
    fn derivation_takes_no_data_of_the_plugins() {
        let use_ = Use::parse("derive md5-hex").unwrap();
        let member = secret_of(b"192006250b4c09247ec02edce69f6a2d");
        let made = derive(&use_, &member, b"").unwrap();
        assert_eq!(made.secret().unwrap().len(), 32);
        assert!(derive(&use_, &member, b"x").is_err());
    }
}
