//! UnionPay's encryption certificate is asked for once a day. A newer one is taken up without the operator, if the host believes
//! it: below the account's roots, and in UnionPay's name.

use serde_json::{Value, json};
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World};

/// A day and an hour, in microseconds.
const A_DAY_AGO: &str = "90000000000";

/// A gateway whose account was made a day ago, by a shop that brings cards, and that starts when the provider has `changed`: if
/// yesterday's bill is due, it asks at once.
async fn a_day_later(changed: impl AsyncFnOnce(&World)) -> World {
    let setup = Setup { provider: "unionpay", private_fields: true, ..Setup::default() };
    let mut world = World::with(setup).await;
    world.account().await;
    changed(&world).await;
    world.write(&format!("UPDATE accounts SET created_at = created_at - {A_DAY_AGO}")).await;
    world.restart().await;
    world
}

/// Pays with a card. Gives the serial number of the certificate that it was sealed to.
async fn pays(world: &World) -> String {
    let account = world.get("/v1/accounts").await.ok()["data"][0].clone();
    let path = format!("/v1/orders/{}/payments", text(&world.order(1250).await, "id"));
    let card = json!({ "accNo": "6212142600000000173", "cvn2": "739", "expired": "3311" });
    let body = json!({ "account_id": account["id"], "method": "page", "private_fields": card });
    let payment = world.post(&path, body).await.ok();
    world.payer_pays(&payment).await;
    world.payment_until(&payment, "succeeded").await;
    let fields = payment["action"]["fields"].as_array().unwrap();
    let named = fields.iter().find(|pair| pair[0] == "encryptCertId").unwrap();
    named[1].as_str().unwrap().to_owned()
}

async fn asked(world: &World) -> u64 {
    world.simulated("calls").await["encryption"].as_u64().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_taken_up_once_a_day() {
    let mut renewed = Value::Null;
    let renews = async |world: &World| {
        renewed = world.control("special/encryption", json!({})).await;
    };
    let mut world = a_day_later(renews).await;
    assert_eq!(json!(pays(&world).await), renewed["serial"]);
    assert_eq!(json!(pays(&world).await), renewed["serial"]);
    assert_eq!(asked(&world).await, 1);
    // It is kept over a restart, and takes the place of the operator's there too.
    world.restart().await;
    assert_eq!(json!(pays(&world).await), renewed["serial"]);
    assert_eq!(asked(&world).await, 1);

    // A day later there is another one, and only that counts.
    for (table, column) in [("fetched_keys", "fetched_at"), ("key_fetches", "next_at")] {
        world.write(&format!("UPDATE {table} SET {column} = {column} - {A_DAY_AGO}")).await;
    }
    let again = world.control("special/encryption", json!({})).await;
    world.restart().await;
    assert_ne!(again, renewed);
    assert_eq!(json!(pays(&world).await), again["serial"]);
    assert_eq!(asked(&world).await, 2);
}

/// Whatever UnionPay's reply is said to be, cards go on being sealed to the certificate that the operator entered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_believed_leaves_the_operators() {
    let own = include_str!("../../../plugins/unionpay/vectors/sha1-provider.pem");
    for bent in ["merchant", "another root", "another kind", "no certificate", "forged"] {
        let bends = async |world: &World| {
            world.control("special/encryption", json!({})).await;
            let merchant = world.credentials("account")["secrets"]["merchant-certificate"].clone();
            let set = |name: &str, value: Value| json!({ "set": { name: value } });
            let (verb, more) = match bent {
                // The same authority, another name.
                "merchant" => ("set", set("encryptPubKeyCert", merchant)),
                "another root" => ("set", set("encryptPubKeyCert", json!(own))),
                "another kind" => ("set", set("certType", json!("02"))),
                "no certificate" => ("set", set("encryptPubKeyCert", json!("none"))),
                _ => ("bad_signature", json!({})),
            };
            world.fault("encryption", verb, more).await;
        };
        let world = a_day_later(bends).await;
        assert_eq!(pays(&world).await, "68759622183", "{bent}");
        assert_eq!(asked(&world).await, 1, "{bent}");
    }
}
