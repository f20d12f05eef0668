//! What RSA operations take on this machine at this moment.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use tollgate_tests::figures::median;

const SIGNATURES: usize = 25;
const VERIFICATIONS: usize = 100;
const TEXT: &[u8] = &[b'x'; 800];

/// A pair of 2048 bits.
pub struct Rsa {
    private: KeyPair,
    public: ParsedPublicKey,
}

/// Median times of one operation.
#[derive(Clone, Copy)]
pub struct Times {
    /// A signature.
    pub sign: Duration,
    /// A verification.
    pub verify: Duration,
}

impl Rsa {
    /// A new pair.
    pub fn new() -> Rsa {
        let private = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let half = private.public_key();
        let spki: PublicKeyX509Der<'_> = half.as_der().unwrap();
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki.as_ref()).unwrap();
        Rsa { private, public }
    }

    /// The times now.
    pub fn times(&self) -> Times {
        let mut signature = vec![0; self.private.public_modulus_len()];
        let random = SystemRandom::new();
        let sign = middle(SIGNATURES, || {
            self.private.sign(&RSA_PKCS1_SHA256, &random, TEXT, &mut signature).unwrap();
        });
        let verify = middle(VERIFICATIONS, || {
            self.public.verify_sig(TEXT, black_box(&signature)).unwrap();
        });
        Times { sign, verify }
    }
}

fn middle(count: usize, mut work: impl FnMut()) -> Duration {
    let one = |_| {
        let started = Instant::now();
        work();
        started.elapsed()
    };
    median((0..count).map(one).collect())
}
