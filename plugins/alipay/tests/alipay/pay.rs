//! Starting payments: what reaches Alipay by each way, and what is refused before.

use serde_json::json;
use tollgate_sdk::contract::requests::{
    Item, NextAction, Operation, Outcome, PayRequest, Report, Step,
};
use tollgate_sdk::contract::types::{Fault, PaymentStatus, Subject};
use tollgate_sdk::form::Form;
use tollgate_sdk::harness::MemoryKeys;

use crate::support::*;

fn request(method: &str) -> PayRequest {
    PayRequest {
        payment: payment(method),
        order_ref: "ord_1".to_owned(),
        subject: "Tea & cake 1/2".to_owned(),
        description: None,
        items: vec![Item {
            name: "Tea".to_owned(),
            quantity: 2,
            unit: cny(4_444),
            extra: Vec::new(),
        }],
        deliver_to: None,
        notify_url: "https://shop.test/notify/1".to_owned(),
        return_url: "https://shop.test/return/1".to_owned(),
        cancel_url: Some("https://shop.test/pay/1".to_owned()),
        payer_ip: None,
        payer_id: None,
        locale: None,
        expires_ms: NOW_MS + 7_200_000,
        manual_capture: false,
        private_fields: Vec::new(),
        extra: Vec::new(),
    }
}

fn build(request: PayRequest) -> Result<Step, Fault> {
    tollgate_alipay::build(&context(), &keys(), &Operation::Pay(request))
}

fn action(request: PayRequest) -> NextAction {
    match build(request).unwrap() {
        Step::Done(Outcome::Report(Report { fact, action, .. })) => {
            assert_eq!(fact.about, Subject::Payment(PaymentStatus::Pending));
            assert_eq!(fact.payment_ref.as_deref(), Some(OURS));
            assert_eq!(fact.amount, None);
            action
        }
        other => panic!("{other:?}"),
    }
}

fn owned(form: &Form) -> Vec<(String, String)> {
    form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn value<'a>(values: &'a [(String, String)], name: &str) -> Option<&'a str> {
    values.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_desktop_page_is_a_form_whose_address_names_the_method() {
    let NextAction::PostForm(form) = action(request("page")) else { panic!() };
    let (base, query) = form.url.split_once('?').unwrap();
    assert_eq!((base, form.charset.as_str()), ("https://gate.test/gateway.do", "utf-8"));
    let mut values = owned(&Form::parse(query.as_bytes()).unwrap());
    assert_eq!(value(&values, "biz_content"), None);
    assert_eq!(value(&values, "method"), Some("alipay.trade.page.pay"));
    assert_eq!(value(&values, "notify_url"), Some("https://shop.test/notify/1"));
    assert_eq!(value(&values, "return_url"), Some("https://shop.test/return/1"));
    assert_eq!(form.fields.len(), 1);
    values.extend(form.fields);
    assert_eq!(
        accept(values),
        json!({
            "out_trade_no": OURS, "total_amount": "88.88", "subject": "Tea ＆ cake 1／2",
            "product_code": "FAST_INSTANT_TRADE_PAY", "time_expire": "2023-12-21 08:54:37",
            "goods_detail": [{"goods_id": "1", "goods_name": "Tea", "quantity": 2, "price": "44.44"}],
        })
    );
}

#[test]
fn the_phone_page_can_be_an_address() {
    let mut asked = request("wap");
    asked.extra.push(("page_mode".to_owned(), "redirect".to_owned()));
    let NextAction::Redirect(url) = action(asked) else { panic!() };
    let (_, query) = url.split_once('?').unwrap();
    assert!(!query.contains('+'), "a space is %20 and a plus of base64 is %2B");
    let values = owned(&Form::parse(query.as_bytes()).unwrap());
    assert_eq!(value(&values, "method"), Some("alipay.trade.wap.pay"));
    let content = accept(values);
    assert_eq!(content["product_code"], "QUICK_WAP_WAY");
    assert_eq!(content["quit_url"], "https://shop.test/pay/1");
}

#[test]
fn the_account_sets_the_page_mode_and_the_payment_overrides_it() {
    let mut context = context();
    context.settings.push(("page_mode".to_owned(), "redirect".to_owned()));
    let way = |mode: Option<&str>| {
        let mut asked = request("page");
        asked.extra.extend(mode.map(|mode| ("page_mode".to_owned(), mode.to_owned())));
        tollgate_alipay::build(&context, &keys(), &Operation::Pay(asked))
    };
    let is_redirect = |step: Result<Step, Fault>| match step.unwrap() {
        Step::Done(Outcome::Report(report)) => matches!(report.action, NextAction::Redirect(_)),
        other => panic!("{other:?}"),
    };
    assert!(is_redirect(way(None)));
    assert!(!is_redirect(way(Some("form"))));
    assert_eq!(way(Some("popup")).unwrap_err().code, "invalid-request");
}

#[test]
fn an_app_gets_a_string() {
    let NextAction::ClientParameters(text) = action(request("app")) else { panic!() };
    let values = owned(&Form::parse(text.as_bytes()).unwrap());
    assert_eq!(value(&values, "return_url"), None);
    assert_eq!(accept(values)["product_code"], "QUICK_MSECURITY_PAY");
}

fn qr() -> Operation {
    Operation::Pay(request("qr"))
}

#[test]
fn a_qr_code_comes_from_the_gateway() {
    let sent = sent(build(request("qr")).unwrap());
    assert_eq!((sent.method.as_str(), sent.url.as_str()), ("POST", "https://gate.test/gateway.do"));
    assert_eq!(accept(values(&sent))["product_code"], "FACE_TO_FACE_PAYMENT");
    let inner = format!(
        r#"{{"code":"10000","msg":"Success","out_trade_no":"{OURS}","qr_code":"https:\/\/qr.test\/bax1"}}"#
    );
    let report = report(&qr(), &reply("alipay.trade.precreate", &inner));
    assert_eq!(report.action, NextAction::QrCode("https://qr.test/bax1".to_owned()));
    assert_eq!(report.action_expires_ms, Some(NOW_MS + 7_200_000));
    let other = inner.replace(OURS, "T2");
    let fault = interpret(&qr(), &reply("alipay.trade.precreate", &other)).unwrap_err();
    assert_eq!((fault.code.as_str(), fault.outcome_known), ("protocol", false));
}

#[test]
fn refusals_of_a_precreate() {
    let refuse = |sub: &str| {
        let inner = format!(r#"{{"code":"40004","msg":"x","sub_code":"{sub}","sub_msg":"words"}}"#);
        interpret(&qr(), &reply("alipay.trade.precreate", &inner))
    };
    let Outcome::Report(report) = refuse("ACQ.TOTAL_FEE_EXCEED").unwrap() else { panic!() };
    assert_eq!(report.fact.about, Subject::Payment(PaymentStatus::Failed));
    assert_eq!(report.fact.reason.as_deref(), Some("words"));
    for (sub, code) in [
        ("ACQ.TRADE_HAS_SUCCESS", "duplicate"),
        ("ACQ.SYSTEM_ERROR", "unavailable"),
        ("AQC.SYSTEM_ERROR", "unavailable"),
    ] {
        let fault = refuse(sub).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.outcome_known), (code, false), "{sub}");
    }
}

/// The host refuses such an account as it is made; one from before is told why, and its payers pay nothing.
#[test]
fn nothing_is_offered_that_could_not_be_verified() {
    let app_key = || der("alipay-app-private-key.pkcs1.b64");
    let bare = MemoryKeys::default().private("app-private-key", &app_key()).unwrap();
    for method in ["page", "wap", "app", "qr"] {
        let operation = Operation::Pay(request(method));
        let fault = tollgate_alipay::build(&context(), &bare, &operation).unwrap_err();
        assert_eq!((fault.code.as_str(), fault.outcome_known), ("config", true), "{method}");
        assert!(fault.message.contains("alipay-public-key"), "{fault:?}");
    }
}

#[test]
fn a_trade_waits_for_fifteen_days_at_most() {
    let mut asked = request("page");
    asked.expires_ms = NOW_MS + 30 * 86_400_000;
    let Ok(Step::Done(Outcome::Report(report))) = build(asked) else { panic!() };
    let latest = NOW_MS + 15 * 86_400_000;
    let until = report.action_expires_ms.unwrap();
    assert!((latest - 120_000..latest).contains(&until), "{until}");
    let NextAction::PostForm(form) = report.action else { panic!() };
    assert!(form.fields[0].1.contains("\"time_expire\":\"2024-01-05 06:53:37\""), "{form:?}");
}

#[test]
fn a_long_basket_is_not_told() {
    let told = |count: usize| {
        let mut asked = request("page");
        asked.items = vec![asked.items[0].clone(); count];
        let NextAction::PostForm(form) = action(asked) else { panic!() };
        form.fields[0].1.contains("goods_detail")
    };
    assert!(told(20) && !told(110) && !told(0));
}

#[test]
fn what_alipay_cannot_express_is_refused_before_anything_is_signed() {
    let change = |change: &dyn Fn(&mut PayRequest)| {
        let mut request = request("page");
        change(&mut request);
        build(request).unwrap_err().code
    };
    assert_eq!(change(&|r| r.payment.amount.minor = 0), "invalid-request");
    assert_eq!(change(&|r| r.payment.amount.minor = -1), "invalid-request");
    assert_eq!(change(&|r| r.payment.amount.minor = 10_000_000_001), "invalid-request");
    assert_eq!(change(&|r| r.payment.amount.currency = "USD".into()), "invalid-request");
    assert_eq!(change(&|r| r.payment.amount.exponent = 0), "invalid-request");
    assert_eq!(change(&|r| r.payment.method = "fax".into()), "invalid-request");
    assert_eq!(change(&|r| r.manual_capture = true), "unsupported");
    let mut bare = context();
    bare.settings.clear();
    let fault = tollgate_alipay::build(&bare, &keys(), &qr()).unwrap_err();
    assert_eq!(fault.code, "config");
    assert!(fault.message.contains("app_id"));
}
