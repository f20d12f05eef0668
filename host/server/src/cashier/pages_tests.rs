//! Pages escape what they show, and hold what payers need.

use super::*;
use tollgate_domain::ids::AccountId;
use tollgate_domain::order::{LateSuccess, OrderState};
use tollgate_domain::payment::PaymentState;
use tollgate_domain::refund::{Origin, RefundState};
use tollgate_plugin::contract::Input;

use crate::store::orders::OrderRow;

const EVIL: &str = "\"><script>alert('1')</script>";
const MADE: Moment = Moment(1_790_000_000_000_000);

fn order() -> OrderRow {
    let details = serde_json::json!({
        "description": EVIL, "return_url": "https://shop.example/?a=\"b",
        "items": [{ "name": EVIL, "price": 600, "quantity": 2 }],
    });
    OrderRow {
        merchant_id: format!("mer_{}", "0".repeat(32)).parse().unwrap(),
        id: format!("ord_{}", "0".repeat(32)).parse().unwrap(),
        number: EVIL.to_owned(),
        state: OrderState::Open,
        amount: 1250,
        currency: "CNY".parse().unwrap(),
        subject: EVIL.to_owned(),
        details: details.to_string(),
        fingerprint: String::new(),
        token: "tokentoken".to_owned(),
        late_success: LateSuccess::Reopen,
        event_seq: 0,
        expires_at: MADE.plus_millis(60_000),
        created_at: MADE,
        updated_at: MADE,
    }
}

fn payment(state: PaymentState) -> PaymentRow {
    let order = order();
    PaymentRow {
        merchant_id: order.merchant_id,
        id: format!("pay_{}", "0".repeat(32)).parse().unwrap(),
        order_id: order.id,
        account_id: account(),
        plugin: "p".to_owned(),
        method: "m".to_owned(),
        state,
        amount: order.amount,
        currency: order.currency,
        taken: 0,
        reserved: 0,
        refunded: 0,
        reversed: 0,
        reversed_at: None,
        disputed: 0,
        charged_back: 0,
        refunded_asked: None,
        refunded_told: None,
        allocated: 0,
        late: 0,
        reference: String::new(),
        provider_ref: None,
        request: String::new(),
        kept: Vec::new(),
        action: None,
        failure: None,
        asked: 0,
        version: 1,
        bill_id: None,
        bill_line: None,
        bill_day: None,
        succeeded_at: None,
        expires_at: order.expires_at,
        created_at: MADE,
        updated_at: MADE,
    }
}

fn refund(state: RefundState) -> RefundRow {
    let payment = payment(PaymentState::Succeeded);
    let id = format!("ref_{}", "0".repeat(32)).parse().unwrap();
    RefundRow { state, ..RefundRow::blank(&payment, id, 300, Origin::Merchant, MADE) }
}

fn account() -> AccountId {
    format!("acc_{}", "0".repeat(32)).parse().unwrap()
}

fn view() -> OrderView {
    OrderView { order: order(), payments: Vec::new(), refunds: Vec::new() }
}

fn attempt(action: Action) -> String {
    let view = view();
    let row = payment(PaymentState::Pending);
    Attempt::new(&view, &row, EVIL.to_owned(), action, MADE).unwrap().render().unwrap()
}

/// The page's own script is the only one, and no text of others became a tag.
fn assert_tame(html: &str) {
    assert_eq!(html.matches("<script").count(), 1, "{html}");
    assert!(!html.contains("alert('1')"), "{html}");
    assert!(!html.contains("style=") && !html.contains("onclick"), "{html}");
}

#[test]
fn whatever_is_written_in_an_order_stays_text() {
    let view = view();
    let input = Input {
        name: EVIL.to_owned(),
        label: EVIL.to_owned(),
        kind: "text".to_owned(),
        required: true,
        pattern: None,
        help: EVIL.to_owned(),
    };
    let offer = Offer {
        account_id: account(),
        account_name: EVIL.to_owned(),
        plugin: "p".to_owned(),
        plugin_name: EVIL.to_owned(),
        method: EVIL.to_owned(),
        method_name: EVIL.to_owned(),
        inputs: vec![input],
    };
    let notice = Notice::Fields(vec![FieldError::new("inputs.a", EVIL)]);
    let offers = [offer.clone(), Offer { method_name: "other".to_owned(), ..offer }];
    let html = Choose::new(&view, &offers, Some(notice)).unwrap().render().unwrap();
    assert_tame(&html);
    assert!(html.contains("12.50 CNY"), "{html}");
    assert!(html.contains("12.00 CNY"), "two of 6.00: {html}");
    assert_eq!(html.matches("<form").count(), 2);
    assert_eq!(html.matches("class=\"account\"").count(), 0, "they read differently: {html}");
    let alike = [offers[0].clone(), offers[0].clone()];
    let html = Choose::new(&view, &alike, None).unwrap().render().unwrap();
    assert_tame(&html);
    assert_eq!(html.matches("class=\"account\"").count(), 2, "{html}");
    assert!(html.contains("2026-09-21T14:14:20Z"), "{html}");

    let fields = vec![(EVIL.to_owned(), EVIL.to_owned())];
    let forward =
        Forward::new(&view, "https://p.example/?a=b&c=\"".to_owned(), "GBK".to_owned(), fields)
            .unwrap();
    let html = forward.render().unwrap();
    assert_tame(&html);
    assert!(html.contains("accept-charset=\"GBK\""), "{html}");
    assert!(html.contains("data-auto"), "{html}");
    assert!(!html.contains("c=\"\""), "the quote would end the address: {html}");
}

#[test]
fn every_action_has_a_page_that_waits_and_can_be_left() {
    let (url, content) = (EVIL.to_owned(), EVIL.to_owned());
    let expires_at = Some(MADE);
    let actions = [
        Action::None,
        Action::Redirect { url: url.clone(), expires_at },
        Action::PostForm { url: url.clone(), charset: "utf-8".into(), fields: vec![], expires_at },
        Action::QrCode { content: content.clone(), expires_at },
        Action::DeepLink { url, expires_at },
        Action::Instructions { content: content.clone(), expires_at },
        Action::ClientParameters { content, expires_at },
    ];
    for action in actions {
        let html = attempt(action.clone());
        assert_tame(&html);
        assert!(html.contains("data-status=\"/pay/tokentoken/status\""), "{action:?}: {html}");
        assert!(html.contains("name=\"leave\""), "{action:?}");
        assert!(html.contains("http-equiv=\"refresh\""), "{action:?}");
        assert!(!html.contains("data-auto"), "a payer who came back would be sent away again");
        assert_eq!(
            html.contains("data:image/svg+xml;base64,"),
            matches!(action, Action::QrCode { .. })
        );
    }
}

#[test]
fn a_page_about_the_end_says_how_it_ended() {
    let mut view = view();
    view.payments = vec![payment(PaymentState::Succeeded)];
    let page =
        |view: &OrderView, ending| Outcome::new(view, ending, MADE).unwrap().render().unwrap();
    for (ending, words) in [
        (Ending::Paid, "Thank you"),
        (Ending::Closed, "was closed"),
        (Ending::Expired, "time to pay is over"),
    ] {
        let html = page(&view, ending);
        assert_tame(&html);
        assert!(html.contains(words), "{html}");
        assert!(!html.contains("data-status"), "nothing will change");
        assert!(html.contains("Back to the shop"));
    }
}

#[test]
fn a_payer_reads_where_each_refund_stands() {
    let mut view = view();
    view.payments = vec![payment(PaymentState::Succeeded)];
    let mut words_seen = std::collections::BTreeSet::new();
    for (state, words, changing) in [
        (RefundState::Requested, "Refund on its way", true),
        (RefundState::Pending, "Refund on its way", true),
        (RefundState::Unknown, "Refund on its way", true),
        (RefundState::NeedsAction, "Refund with the shop", true),
        (RefundState::Succeeded, "Refunded", false),
        (RefundState::Failed, "Refund not possible", false),
    ] {
        view.refunds = vec![RefundRow { reason: Some(EVIL.to_owned()), ..refund(state) }];
        for ending in [Ending::Refunded, Ending::Paid, Ending::Closed, Ending::Expired] {
            let html = Outcome::new(&view, ending, MADE).unwrap().render().unwrap();
            assert_tame(&html);
            assert!(html.contains(words) && html.contains("3.00 CNY"), "{state}: {html}");
            assert!(html.contains("&#62;&#60;script") || html.contains("&gt;&lt;script"), "{html}");
            assert!(html.contains("2026-09-21T14:13:20Z"), "since when: {html}");
            assert_eq!(html.contains("data-status"), changing, "{state}");
        }
        // Each refund is told by itself, and the page knows when one of them has moved on.
        view.refunds.push(refund(RefundState::Pending));
        let html = Outcome::new(&view, Ending::Refunded, MADE).unwrap().render().unwrap();
        assert_eq!(html.matches("3.00 CNY").count(), 2, "{html}");
        words_seen.insert(crate::cashier::stand::word(&view, MADE));
    }
    assert_eq!(words_seen.len(), 4, "one for each stage: {words_seen:?}");
}

#[test]
fn a_link_back_is_to_a_web_page_only() {
    let mut view = view();
    view.order.details = r#"{"return_url":"javascript:alert(1)"}"#.to_owned();
    let html = Outcome::new(&view, Ending::Paid, MADE).unwrap().render().unwrap();
    assert!(!html.contains("javascript"), "{html}");
}

#[test]
fn what_is_shown_follows_the_order() {
    use crate::cashier::stand::{Stand, of, word};
    let mut view = view();
    assert!(matches!(of(&view, MADE), Stand::Choose { earlier_failed: false }));
    assert!(matches!(of(&view, view.order.expires_at), Stand::Over(Ending::Expired)));
    let fresh = word(&view, MADE);
    view.payments = vec![payment(PaymentState::Failed)];
    assert!(matches!(of(&view, MADE), Stand::Choose { earlier_failed: true }));
    view.payments.push(payment(PaymentState::Pending));
    assert!(matches!(of(&view, MADE), Stand::Underway(_)));
    assert!(matches!(of(&view, view.order.expires_at), Stand::Underway(_)), "it may still be paid");
    assert_ne!(word(&view, MADE), fresh);
    for (state, ending) in [
        (OrderState::Paid, Ending::Paid),
        (OrderState::PartiallyRefunded, Ending::Refunded),
        (OrderState::Refunded, Ending::Refunded),
        (OrderState::Closed, Ending::Closed),
        (OrderState::Expired, Ending::Expired),
    ] {
        view.order.state = state;
        assert!(matches!(of(&view, MADE), Stand::Over(found) if found == ending), "{state}");
    }
}

#[test]
fn an_apology_tells_nothing_of_the_inside() {
    let response = apology(Problem::internal("/secret"), Some("/pay/t"));
    assert_eq!(response.status(), 500);
    assert_eq!(response.extensions().get::<Cause>().map(|cause| cause.0.as_str()), Some("/secret"));
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("form-action 'self';"), "{policy}");
}
