//! Row 22: UnionPay's own certificates are signed with SHA-1 all the way up. Such a chain is believed where the account
//! names its root, and the name has to be UnionPay's there as well.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate_sdk::form;
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World};

use super::paid_in_silence;
use super::vectors::bench_in_mode;

const ROOT: &str = include_str!("../../../plugins/unionpay/vectors/sha1-root.pem");
const MIDDLE: &str = include_str!("../../../plugins/unionpay/vectors/sha1-middle.pem");
const PROVIDER: &str = include_str!("../../../plugins/unionpay/vectors/sha1-provider.pem");
const MERCHANT: &str = include_str!("../../../plugins/unionpay/vectors/sha1-merchant.pem");
const KEY: &str = include_str!("../../../plugins/unionpay/vectors/sha1-key.pem");

/// A gateway whose account believes these too, beside the simulator's own.
async fn believing(roots: &str) -> World {
    let setup = Setup { provider: "unionpay", call_ms: 2_000, ..Setup::default() };
    let world = World::with(setup).await;
    let mut account = world.credentials("account");
    let both = format!("{}{roots}", text(&account["secrets"], "unionpay-root"));
    account["secrets"]["unionpay-root"] = json!(both);
    world.post("/v1/accounts", account).await.ok();
    world
}

/// What UnionPay would tell of a payment, signed below the other authority under that certificate.
async fn told_by(world: &World, payment: &Value, certificate: &str) -> Value {
    let mut draft = world.draft(payment, "truth").await;
    let honest = form::Form::parse(text(&draft, "message").as_bytes()).unwrap();
    let mut fields: BTreeMap<&str, String> =
        honest.pairs().map(|(name, value)| (name, value.to_owned())).collect();
    fields.remove("signature");
    fields.insert("signPubKeyCert", certificate.to_owned());
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let hex = hex::encode(digest(&SHA256, pairs.join("&").as_bytes()));
    let der: String = KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let key = KeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), hex.as_bytes(), &mut signature).unwrap();
    fields.insert("signature", STANDARD.encode(signature));
    let pairs = fields.iter().map(|(name, value)| (*name, value.as_str()));
    draft["message"] = json!(form::encode(pairs));
    draft
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_is_signed_with_sha1_is_believed_up_to_its_root_and_by_its_name() {
    let world = believing(&format!("{ROOT}{MIDDLE}")).await;
    let payment = paid_in_silence(&world).await;
    let of_a_merchant = told_by(&world, &payment, MERCHANT).await;
    assert_eq!(world.deliver(&of_a_merchant).await.status, 400, "the same authority, another name");
    assert!(world.reason().await.contains("not UnionPay's"));
    assert_eq!(world.payment(&payment).await["state"], "pending");
    let own = told_by(&world, &payment, PROVIDER).await;
    assert_eq!(world.deliver(&own).await.status, 200);
    world.payment_until(&payment, "succeeded").await;
}

/// UnionPay's test system signs under a name of its own. An operator who enters the test roots in a live account has made a
/// mistake, and nobody is paid by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_of_the_test_system_is_believed_in_the_sandbox_alone() {
    let world = believing("").await;
    let payment = paid_in_silence(&world).await;
    let roots = world.credentials("account");
    let roots = text(&roots["secrets"], "unionpay-root");
    let (now_ms, test_name) = (world.now() / 1_000, world.draft(&payment, "test_name").await);
    let own_name = world.draft(&payment, "truth").await;
    for (live, draft, is_believed) in [
        (true, &own_name, true),
        (false, &own_name, true),
        (true, &test_name, false),
        (false, &test_name, true),
    ] {
        let bench = bench_in_mode(live, roots);
        let called = bench.read(&[], text(draft, "message").as_bytes(), now_ms, None).await;
        assert_eq!(called.signature_held(), is_believed, "live: {live}");
        let fault = called.answer.err().map(|fault| fault.code);
        assert_eq!(fault.as_deref(), (!is_believed).then_some("signature"), "live: {live}");
    }
    assert_eq!(world.deliver(&test_name).await.status, 200, "the account is not live");
    world.payment_until(&payment, "succeeded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_leads_to_another_root_is_not_believed() {
    // Its own certificate among the roots vouches for nothing: it is no authority.
    let world = believing(PROVIDER).await;
    let payment = paid_in_silence(&world).await;
    let own = told_by(&world, &payment, PROVIDER).await;
    assert_eq!(world.deliver(&own).await.status, 400);
    assert_eq!(world.payment(&payment).await["state"], "pending");
}
