//! The manifest agrees with itself and with what is built.

use std::collections::BTreeSet;

#[test]
fn it_agrees_with_itself() {
    let manifest = tollgate_wechatpay::describe();
    assert_eq!(manifest.id, "wechatpay");
    let slots: BTreeSet<_> = manifest.slots.iter().map(|slot| slot.input.name.as_str()).collect();
    assert_eq!(slots.len(), manifest.slots.len(), "each name once");
    for slot in &manifest.slots {
        assert!(slot.egress.is_empty(), "no secret of WeChat Pay's is ever sent");
        assert!(slot.uses.len() == 1, "{}: one use", slot.input.name);
        if let Some(trust) = &slot.trust {
            assert!(slots.contains(trust.by.as_str()));
            assert!(trust.refresh_ms.is_some_and(|every| every <= 12 * 3_600_000));
        }
    }
    let operations: BTreeSet<_> =
        manifest.operations.iter().map(|ability| ability.operation.as_str()).collect();
    let expected =
        ["bill", "close", "fetch-keys", "notice", "pay", "query-payment", "query-refund", "refund"];
    assert_eq!(operations, expected.into());
}

#[test]
fn every_call_goes_to_the_api_and_money_leaves_by_one_of_them_alone() {
    let manifest = tollgate_wechatpay::describe();
    for ability in &manifest.operations {
        for call in &ability.calls {
            assert_eq!(call.origin, "api");
            let moves = call.method == "POST" && call.path.contains("refund");
            assert_eq!(moves, ability.operation == "refund", "{call:?}");
        }
    }
}
