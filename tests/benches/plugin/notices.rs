//! Notifications: each another message, verified and read.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tollgate_plugin::contract::Reading;
use tollgate_sdk::Keyring;
use tollgate_sdk::contract::signing::Piece;
use tollgate_sdk::keys::{Pick, RSA_PKCS1_SHA256};

use crate::fixture::{APP_ID, Fixture, SELLER_ID};
use tollgate_tests::arguments::{host, native};
use tollgate_tests::figures::{Milli, fact, median};

const ROUNDS: usize = 9;
const MESSAGES: usize = 400;

pub fn measure() {
    let fixture = Fixture::new();
    let messages: Vec<String> =
        (0..MESSAGES).map(|number| notification(&fixture, number)).collect();
    let (mut component, mut plain, mut verifying, mut ratios) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (own, verify) = by_component(&fixture, &messages);
        let other = by_native(&fixture, &messages);
        component.push(own);
        plain.push(other);
        verifying.push(verify);
        ratios.push(Milli::ratio(own, other));
    }
    let count = MESSAGES as u64;
    fact(
        "notifications verified and read, component",
        Milli::per_second(count, median(component)),
        "1/s/core",
    );
    fact(
        "notifications verified and read, native",
        Milli::per_second(count, median(plain)),
        "1/s/core",
    );
    fact("notification, component / native", median(ratios), "ratio");
    let each = median(verifying) / u32::try_from(MESSAGES).unwrap();
    fact("RSA-2048 verification in the host", Milli::micros(each), "us");
    fact("notifications verified and read, as flows do", all_at_once(&fixture, &messages), "1/s");
}

fn by_component(fixture: &Fixture, messages: &[String]) -> (Duration, Duration) {
    let context = host::context(&fixture.given);
    let mut verifying = Duration::ZERO;
    let started = Instant::now();
    for body in messages {
        let called =
            fixture.plugin.read_here(&context, &fixture.keys, &host::message(body), None).unwrap();
        assert!(called.signature_held() && matches!(called.answer, Ok(Reading::Events(_))));
        verifying += called.in_keys;
    }
    (started.elapsed(), verifying)
}

fn by_native(fixture: &Fixture, messages: &[String]) -> Duration {
    let started = Instant::now();
    for body in messages {
        assert!(tollgate_alipay::read(&fixture.native, &native::message(body), None).is_ok());
    }
    started.elapsed()
}

/// From several tasks, each call when its turn comes.
fn all_at_once(fixture: &Fixture, messages: &[String]) -> Milli {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let rounds = (0..ROUNDS).map(|_| {
        runtime.block_on(async {
            let started = Instant::now();
            let mut tasks = tokio::task::JoinSet::new();
            for part in messages.chunks(MESSAGES / 8) {
                let (plugin, keys, part) =
                    (fixture.plugin.clone(), fixture.keys.clone(), part.to_vec());
                let context = host::context(&fixture.given);
                tasks.spawn(async move {
                    for body in part {
                        let called = plugin
                            .read(context.clone(), &keys, host::message(&body), None, None)
                            .await;
                        assert!(called.unwrap().signature_held());
                    }
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended.unwrap();
            }
            started.elapsed()
        })
    });
    Milli::per_second(MESSAGES as u64, median(rounds.collect()))
}

/// A notification as Alipay sends it, signed over its sorted fields.
fn notification(fixture: &Fixture, number: usize) -> String {
    let reference = format!("P{number:023}");
    let (notice, trade) =
        (format!("2023122101222{number:021}"), format!("20231221220014{number:014}"));
    let fields = [
        ("app_id", APP_ID),
        ("auth_app_id", APP_ID),
        ("buyer_id", "2088722003899160"),
        ("buyer_pay_amount", "125.00"),
        ("charset", "utf-8"),
        ("fund_bill_list", r#"[{"amount":"125.00","fundChannel":"ALIPAYACCOUNT"}]"#),
        ("gmt_create", "2023-12-21 06:54:30"),
        ("gmt_payment", "2023-12-21 06:54:37"),
        ("invoice_amount", "125.00"),
        ("notify_id", &notice),
        ("notify_time", "2023-12-21 06:54:38"),
        ("notify_type", "trade_status_sync"),
        ("out_trade_no", &reference),
        ("point_amount", "0.00"),
        ("receipt_amount", "125.00"),
        ("seller_id", SELLER_ID),
        ("subject", "Green tea & two cups"),
        ("total_amount", "125.00"),
        ("trade_no", &trade),
        ("trade_status", "TRADE_SUCCESS"),
        ("version", "1.0"),
    ];
    let text: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let data = [Piece::Text(text.join("&").into_bytes())];
    let sign = fixture.provider.sign(Pick::Slot("own"), RSA_PKCS1_SHA256, &data).unwrap();
    let sign = STANDARD.encode(sign);
    let signature = [("sign", sign.as_str()), ("sign_type", "RSA2")];
    let all = fields.iter().chain(&signature);
    let form = all.map(|(name, value)| format!("{name}={}", escaped(value)));
    form.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
