//! When a delivery is tried again, and which kinds an endpoint hears of.

use proptest::prelude::*;

use super::*;

const NOW: Moment = Moment(1_795_312_800_000_000);
const HOUR_MS: i64 = 3_600_000;

fn later(ms: i64) -> Moment {
    NOW.plus_millis(ms)
}

#[test]
fn an_answer_says_what_becomes_of_a_delivery() {
    use Answer::{None as Nothing, Status};
    use DeliveryEffect::{DisableEndpoint, PauseEndpoint};
    use DeliveryState::{Delivered, Parked, Pending};
    let day = 24 * HOUR_MS;
    let rows = [
        (0, Status(200, None), Delivered, 0, None),
        (9, Status(204, None), Delivered, 0, None),
        (0, Status(410, None), Parked, 0, Some(DisableEndpoint)),
        (0, Status(199, None), Pending, 5_000, None),
        (0, Status(301, None), Pending, 5_000, None),
        (0, Status(404, None), Pending, 5_000, None),
        (1, Status(500, None), Pending, 300_000, None),
        (2, Nothing, Pending, 1_800_000, None),
        (8, Nothing, Pending, day, None),
        (9, Nothing, Parked, 0, None),
        (9, Status(500, None), Parked, 0, None),
        (0, Status(429, Some(later(60_000))), Pending, 60_000, Some(PauseEndpoint(later(60_000)))),
        (0, Status(503, Some(later(9 * day))), Pending, day, Some(PauseEndpoint(later(day)))),
        (
            3,
            Status(503, Some(later(60_000))),
            Pending,
            2 * HOUR_MS,
            Some(PauseEndpoint(later(60_000))),
        ),
        (9, Status(429, Some(later(60_000))), Parked, 0, Some(PauseEndpoint(later(60_000)))),
        (0, Status(429, Some(later(-5))), Pending, 5_000, None),
        (0, Status(500, Some(later(60_000))), Pending, 5_000, None),
    ];
    for (tries, answer, state, after_ms, effect) in rows {
        let (after, what) = Delivery { tries, ..Delivery::new(NOW) }.tried(answer, NOW, 0);
        let wanted = Delivery { state, tries: tries + 1, next_at: later(after_ms) };
        assert_eq!((after, what), (wanted, effect), "{answer:?} after {tries}");
    }
}

proptest! {
    #[test]
    fn ten_tries_take_three_days_or_more(chances in prop::collection::vec(any::<u16>(), 10)) {
        let (mut delivery, mut now) = (Delivery::new(NOW), NOW);
        for chance in chances {
            prop_assert_eq!(delivery.state, DeliveryState::Pending);
            now = delivery.next_at;
            delivery = delivery.tried(Answer::None, now, chance).0;
        }
        prop_assert_eq!((delivery.state, delivery.tries), (DeliveryState::Parked, 10));
        let hours = now.millis_since(NOW) / HOUR_MS;
        prop_assert!((72..=84).contains(&hours), "{} h", hours);
    }

    #[test]
    fn chance_never_shortens_a_gap(tries in 1i64..10, chance: u16) {
        let gap = GAPS_MS[usize::try_from(tries - 1).unwrap()];
        let spread = gap_ms(tries, chance).unwrap();
        prop_assert!(gap <= spread && spread <= gap + gap / 10);
    }
}

#[test]
fn chance_spreads_the_tries() {
    assert_eq!(gap_ms(1, 0), Some(5_000));
    assert_eq!(gap_ms(1, u16::MAX), Some(5_500));
    assert_eq!((gap_ms(0, 0), gap_ms(10, 0)), (None, None));
}

#[test]
fn an_endpoint_is_given_up_after_a_week() {
    assert!(!is_given_up(NOW, later(7 * 24 * HOUR_MS - 1)));
    assert!(is_given_up(NOW, later(7 * 24 * HOUR_MS)));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let date: Moment = "2026-11-22T02:00:30Z".parse().unwrap();
    let rows = [
        ("0", Some(NOW)),
        (" 120 ", Some(later(120_000))),
        ("Sun, 22 Nov 2026 02:00:30 GMT", Some(date)),
        ("4294967295", Some(later(4_294_967_295_000))),
        ("-1", None),
        ("1.5", None),
        ("99999999999999999999", None),
        ("soon", None),
        ("", None),
    ];
    for (text, wanted) in rows {
        assert_eq!(retry_after(text, NOW), wanted, "{text:?}");
    }
}

#[test]
fn an_endpoint_hears_of_the_kinds_that_it_wants() {
    let rows: [(&[&str], &str, bool); 7] = [
        (&[], "order.paid", true),
        (&["order.paid"], "order.paid", true),
        (&["order.paid"], "order.paid_late", false),
        (&["order.*"], "order.paid", true),
        (&["order.*"], "orders.paid", false),
        (&["refund.failed", "payment.*"], "payment.failed", true),
        (&["refund.failed", "payment.*"], "refund.succeeded", false),
    ];
    for (wanted, kind, hears) in rows {
        let wanted: Vec<String> = wanted.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(wants(&wanted, kind), hears, "{wanted:?} {kind}");
    }
    for good in ["order.paid", "order.*", "reconciliation.bill_rejected", "a.b.c.*", "order"] {
        assert!(is_pattern(good), "{good}");
    }
    for bad in ["", "*", ".*", "order.", "order.**", "or*", "Order.paid", "order paid", "order.*.x"]
    {
        assert!(!is_pattern(bad), "{bad}");
    }
}
