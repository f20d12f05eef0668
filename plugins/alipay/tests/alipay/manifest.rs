//! The manifest agrees with itself and with what is built.

use std::collections::BTreeSet;

#[test]
fn it_agrees_with_itself() {
    let manifest = tollgate_alipay::describe();
    assert_eq!(manifest.id, "alipay");
    let origins: BTreeSet<_> = manifest.origins.iter().map(|origin| origin.name.as_str()).collect();
    assert_eq!(origins.len(), manifest.origins.len(), "each name once");
    let slots: BTreeSet<_> = manifest.slots.iter().map(|slot| slot.input.name.as_str()).collect();
    for ability in &manifest.operations {
        assert!(ability.by_our_ref, "{}", ability.operation);
        for call in &ability.calls {
            assert!(origins.contains(call.origin.as_str()));
            let is_pinned = call.field.as_ref().is_some_and(|(name, _)| name == "method");
            assert!(is_pinned || call.origin == "bill", "{call:?}");
        }
    }
    for slot in &manifest.slots {
        assert!(slot.egress.is_empty(), "no secret of Alipay's is ever sent");
        if let Some(trust) = &slot.trust {
            assert!(slots.contains(trust.by.as_str()));
            assert!(!trust.names.is_empty());
        }
    }
    let operations: BTreeSet<_> =
        manifest.operations.iter().map(|ability| ability.operation.as_str()).collect();
    let expected =
        ["bill", "close", "fetch-keys", "notice", "pay", "query-payment", "query-refund", "refund"];
    assert_eq!(operations, expected.into());
}

#[test]
fn money_leaves_by_the_refund_call_alone() {
    let manifest = tollgate_alipay::describe();
    let methods: BTreeSet<_> = manifest
        .operations
        .iter()
        .filter(|ability| ability.operation != "refund")
        .flat_map(|ability| &ability.calls)
        .filter_map(|call| call.field.as_ref().map(|(_, value)| value.as_str()))
        .collect();
    for outgoing in ["alipay.trade.refund", "alipay.trade.cancel", "alipay.fund.trans.uni.transfer"]
    {
        assert!(!methods.contains(outgoing), "{outgoing}");
    }
}
