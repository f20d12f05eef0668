//! A payer's card: it reaches the provider sealed, and is in no row, file, log, answer or record, and in no plugin's memory.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate_plugin::Witness;
use tollgate_tests::puppet::Puppet;
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World};

use crate::needles::Needles;
use crate::{canary, logs, stage};

/// A published test number, and what belongs to it.
const NUMBER: &str = "6212142600000000173";
const PHONE: &str = "861395555012347";
const CODE: &str = "739";
const UNTIL: &str = "3311";

fn card() -> Value {
    json!({ "accNo": NUMBER, "phoneNo": PHONE, "cvn2": CODE, "expired": UNTIL })
}

/// Looks for all of it: the short ones behind their names, where alone they would mean something.
struct Looked(Needles);

impl Looked {
    fn new() -> Looked {
        let of = |text: &str| text.as_bytes().to_vec();
        Looked(Needles::of(&[("the number", of(NUMBER)), ("the phone", of(PHONE))]))
    }

    #[track_caller]
    fn absent(&self, place: &str, bytes: impl AsRef<[u8]>) {
        self.0.absent(place, &bytes);
        for short in [("cvn2", CODE), ("expired", UNTIL)] {
            let (name, value) = short;
            for needle in [format!("{name}={value}"), format!("{name}\":\"{value}")] {
                let mut windows = bytes.as_ref().windows(needle.len());
                assert!(!windows.any(|window| window == needle.as_bytes()), "{place} holds {name}");
            }
        }
    }
}

/// Requests in which a careless error would repeat what it was given.
fn wrong(account: &Value) -> Vec<Value> {
    let body = |fields: Value| json!({ "account_id": account["id"], "method": "page", "private_fields": fields });
    let with = |change: &dyn Fn(&mut Value)| {
        let mut all = body(card());
        change(&mut all);
        all
    };
    vec![
        body(json!({ "accNo": format!("{NUMBER}x") })),
        body(json!({ "accNo": 6212142600000000173_i64 })),
        body(json!({ "accNo": [NUMBER] })),
        body(json!({ "number": NUMBER })),
        body(json!({ NUMBER: "accNo" })),
        body(json!(NUMBER)),
        body(json!({ "phoneNo": format!("+{PHONE}") })),
        with(&|all| all["inputs"] = json!({ "accNo": NUMBER })),
        with(&|all| all["method"] = json!(NUMBER)),
        with(&|all| all["method"] = json!("app")),
        with(&|all| all["surface"] = json!(NUMBER)),
        with(&|all| all["card"] = json!(NUMBER)),
    ]
}

#[tokio::test]
async fn a_card_reaches_the_provider_sealed_and_stays_nowhere() {
    let logs = logs::kept();
    let (witness, folder) = (Witness::default(), stage::folder(&["unionpay"]));
    let world = World::with(Setup {
        provider: "unionpay",
        plugins: Some(folder.path().to_owned()),
        witness: Some(witness.clone()),
        private_fields: true,
        ..Setup::default()
    })
    .await;
    let looked = Looked::new();
    let account = world.account().await;
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let mut answers = Vec::new();
    for body in wrong(&account) {
        let refused = world.post(&path, body).await;
        assert_eq!(
            refused.json["status"].as_u64().map(|status| status / 100),
            Some(4),
            "{}",
            refused.text
        );
        assert!(refused.json["errors"][0]["field"].is_string(), "{}", refused.text);
        answers.push(refused.text);
    }
    let body = json!({ "account_id": account["id"], "method": "page", "private_fields": card() });
    let payment = world.post_once(&path, "card-1", &body).await.ok();
    let again = world.post_once(&path, "card-1", &body).await.ok();
    assert_eq!(payment, again);
    assert!(payment["action"].to_string().contains("customerInfo"), "{payment}");
    let mut other = body.clone();
    other["private_fields"]["cvn2"] = json!("740");
    let reused = world.post_once(&path, "card-1", &other).await;
    assert_eq!(reused.json["code"], "idempotency-key-reused", "{}", reused.text);
    answers.extend([payment.to_string(), reused.text]);

    // The provider opened it: it refuses what is not what it should be, and tells what anybody may see.
    world.payer_pays(&payment).await;
    let paid = world.payment_until(&payment, "succeeded").await;
    let refund = world.refund(&payment, "R-card", 500).await.ok();
    world.make_due("query_refund").await;
    answers.extend([paid.to_string(), refund.to_string()]);
    answers.push(world.get("/v1/events?limit=100").await.text);
    world.idle().await;

    for answer in &answers {
        looked.absent("an answer", answer);
    }
    let rows = format!("{:?}", world.dump().await);
    assert!(rows.contains(text(&payment, "reference")), "these are no rows");
    // Not even sealed, once it has served: the answer under the shop's key is another matter, under our own seal, for a day.
    assert_eq!(paid["action"]["kind"], "none", "{paid}");
    assert!(!rows.contains("customerInfo") && !rows.contains("encryptCertId"), "{rows}");
    looked.absent("a row", rows);
    for (name, bytes) in canary::files(&world) {
        looked.absent(&name, bytes);
    }
    let records = world.select("SELECT record FROM exchanges").await.concat();
    assert!(records.contains("6212****0173"), "the provider read another card: {records}");
    looked.absent("the records of exchanges", records);
    let memories = witness.take();
    assert!(memories.len() >= 6, "{} calls were seen", memories.len());
    let has = |memory: &Vec<u8>| memory.windows(13).any(|window| window == b"encryptedInfo");
    assert!(memories.iter().any(has), "the call that sealed it was not seen");
    for memory in &memories {
        looked.absent("the memory of UnionPay's component", memory);
    }
    looked.absent("the log", logs.bytes());
}

/// The plugin sends it on, sealed with OAEP under the key that a header names; a provider that repeats it in the clear tells it
/// to nobody.
#[tokio::test]
async fn a_provider_that_repeats_a_card_tells_it_to_no_plugin() {
    let witness = Witness::default();
    let setup = Setup { witness: Some(witness.clone()), private_fields: true, ..Setup::default() };
    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let sealing = format!("KEY_7:{}", STANDARD.encode(public.as_ref()));
    let puppet = Puppet::with(setup, json!({ "sealing": sealing })).await;
    let world = &puppet.world;
    puppet.answers("pay", &format!("status=failed&reason={NUMBER}"));
    puppet.answers("query-payment", "status=failed");
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let body = json!({ "method": "card", "private_fields": { "card_number": NUMBER } });
    let failed = world.post(&path, body).await.ok();
    assert_eq!(failed["state"], "failed", "{failed}");
    assert_eq!(failed["failure"]["message"], "[redacted]", "{failed}");

    let asked = puppet.last("pay");
    let sealed = asked.split('&').find_map(|pair| pair.strip_prefix("card=")).unwrap();
    assert_eq!(opened(&pair, &hex::decode(sealed).unwrap()), NUMBER.as_bytes());
    let looked = Looked::new();
    looked.absent("what was sent", &asked);
    let rows = format!("{:?}", world.dump().await);
    assert!(rows.contains("KEY_7"), "the key that it is sealed to is named");
    assert!(!rows.contains(sealed), "what is sealed is in no record");
    looked.absent("a row", rows);
    for memory in witness.take() {
        looked.absent("the memory of a component", memory);
    }
}

fn opened(pair: &aws_lc_rs::rsa::KeyPair, sealed: &[u8]) -> Vec<u8> {
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let key = PrivateDecryptingKey::from_pkcs8(der.as_ref()).unwrap();
    let key = OaepPrivateDecryptingKey::new(key).unwrap();
    let mut plain = vec![0; key.min_output_size()];
    key.decrypt(&OAEP_SHA1_MGF1SHA1, sealed, &mut plain, None).unwrap().to_vec()
}

/// Off by default; and a method that cannot do without them is not offered to a payer, whose page has no place for them.
#[tokio::test]
async fn private_fields_are_off_until_the_operator_names_their_scope() {
    let puppet = Puppet::start().await;
    let world = &puppet.world;
    let order = world.order(1250).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    for (fields, field) in
        [(json!({ "card_number": NUMBER }), "private_fields"), (json!({}), "method")]
    {
        let body = json!({ "method": "card", "private_fields": fields });
        let refused = world.post(&path, body).await;
        assert_eq!(refused.json["errors"][0]["field"], field, "{}", refused.text);
        assert!(refused.text.contains("switched off"), "{}", refused.text);
        Looked::new().absent("the refusal", &refused.text);
    }
    assert_eq!(puppet.asked("pay"), 0);
    let page = world.client.get(text(&order, "cashier_url")).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("value=\"page\"") || page.contains("page"), "{page}");
    assert!(!page.contains("card_number"), "{page}");
}

/// Nobody has the card any more when a start was cut off: it is not taken up without it, but asked about.
#[tokio::test]
async fn a_start_that_was_cut_off_is_not_taken_up_without_its_card() {
    let setup = Setup { provider: "unionpay", private_fields: true, ..Setup::default() };
    let world = World::with(setup).await;
    world.account().await;
    for (fields, taken_up) in [(json!({}), true), (card(), false)] {
        let order = world.order(1250).await;
        let path = format!("/v1/orders/{}/payments", text(&order, "id"));
        let body = json!({ "method": "page", "private_fields": fields });
        let payment = world.post(&path, body).await.ok();
        // As a process leaves it that dies before it keeps what the payer does next.
        let id = text(&payment, "id");
        let cut = format!("UPDATE payments SET action = NULL, state = 'created' WHERE id = '{id}'");
        world.write(&cut).await;
        world.make_due("query_payment").await;
        world.idle().await;
        let now = world.payment(&payment).await;
        assert_eq!(now["action"]["kind"] == "post_form", taken_up, "{now}");
    }
}

/// A record that leaves the right one of many guesses out would tell which it is.
#[tokio::test]
async fn a_plugin_that_guesses_a_card_sends_nothing() {
    let setup = Setup { private_fields: true, ..Setup::default() };
    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let puppet = Puppet::with(setup, json!({ "sealing": STANDARD.encode(public.as_ref()) })).await;
    let world = &puppet.world;
    // The amount stands in the request in the clear: here it is the number too.
    let order = world.order(1_250_000_000_001).await;
    let path = format!("/v1/orders/{}/payments", text(&order, "id"));
    let body = json!({ "method": "card", "private_fields": { "card_number": "1250000000001" } });
    let failed = world.post(&path, body).await.ok();
    assert_eq!(failed["failure"]["code"], "refused", "{failed}");
    assert_eq!(puppet.asked("pay"), 0);
}
